package consumer

// crew are goroutines that are used again. A call through the AWS SDK takes a deep
// stack, and a new goroutine would copy its own four or five times until it has one.
// There are as many as were ever busy at once.
type crew struct {
	work chan func() // taken by one that is free
	over chan struct{}
}

func newCrew() crew {
	return crew{work: make(chan func()), over: make(chan struct{})}
}

// do has one of the crew run f.
func (w crew) do(f func()) {
	select {
	case w.work <- f:
	default:
		go w.run(f)
	}
}

func (w crew) run(f func()) {
	for {
		f()
		select {
		case f = <-w.work:
		case <-w.over:
			return
		}
	}
}

// dismiss ends those that are free, and the others when they are.
func (w crew) dismiss() { close(w.over) }
