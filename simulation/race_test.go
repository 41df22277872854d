//go:build race

package simulation

// Under the race detector a seed takes ten times as long.
const fixedSeeds = 3

const replays = 0
