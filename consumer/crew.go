package consumer

import "sync"

// crew are goroutines that are used again. A call through the AWS SDK takes a deep
// stack, and a new goroutine would copy its own four or five times until it has one.
// There are as many as were ever busy at once. The one that was busy last is taken
// first: the garbage collector takes the stack of one that rests for longer.
type crew struct {
	mu   sync.Mutex
	free []chan func()
	over bool
}

// do has one of the crew run f.
func (w *crew) do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := len(w.free) - 1
	if last < 0 {
		go w.run(f)
		return
	}
	w.free[last] <- f
	w.free = w.free[:last]
}

// run runs f, and then what there is for it, until it is dismissed.
func (w *crew) run(f func()) {
	next := make(chan func(), 1)
	for ok := true; ok; f, ok = <-next {
		f()
		if !w.rest(next) {
			return
		}
	}
}

// rest notes that who listens at next is free, unless the crew is dismissed.
func (w *crew) rest(next chan func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return false
	}
	w.free = append(w.free, next)
	return true
}

// dismiss ends those that are free, and the others when they are.
func (w *crew) dismiss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	for _, next := range w.free {
		close(next)
	}
	w.free = nil
}
