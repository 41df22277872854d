// Package emulators runs the built daemon end to end against emulators of AWS that
// others wrote, so that no mistake of our own local AWS is made twice. It has tests
// only.
//
// They start nothing but the daemon. Which emulators run, and where, is told by a
// variable with one line for each:
//
//	INREPLY_EMULATORS="localstack 4.14.0 http://127.0.0.1:4566
//	ministack 1.5.33 http://127.0.0.1:4570"
//	go test ./emulators -v
//
// Without it they are skipped. .ci/emulators installs the emulators, starts them
// and says where they are; with INREPLY_EMULATORS_TABLE=FILE the results are
// written to FILE, as the table of docs/local.md.
//
// The tour: rigs_test.go lists which parts of which emulators make one AWS, and
// what each of them does differently. end_to_end_test.go is the way of the mails
// through it, step by step; mails_test.go makes the mails and announces them,
// sent_test.go reads the answers back, process_test.go runs the daemon, and
// table_test.go keeps the results.
package emulators
