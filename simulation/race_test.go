//go:build race

package simulation

// Under the race detector a seed takes five times as long.
const fixedSeeds = 4
