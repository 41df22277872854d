//go:build !race

package simulation

// fixedSeeds is how many seeds every run of the tests goes through.
const fixedSeeds = 24

// replays is how often a seed is run again.
const replays = 2
