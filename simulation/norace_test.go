//go:build !race

package simulation

// fixedSeeds is how many seeds every run of the tests goes through.
const fixedSeeds = 24
