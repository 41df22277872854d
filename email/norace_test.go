//go:build !race

package email

// raceDetector says that this test runs with it.
const raceDetector = false
