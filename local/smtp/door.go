package smtp

import (
	"net"
	"sync"
)

// door is a listener that knows who is inside, so that closing can wait for the last to leave.
type door struct {
	net.Listener

	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

func newDoor(l net.Listener) *door { return &door{Listener: l} }

// Accept lets the next client in.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		// It slipped in while the door was closing.
		_ = c.Close()
		return nil, net.ErrClosed
	}
	d.inside.Add(1)
	return &guest{Conn: c, left: d.inside.Done}, nil
}

// enter counts something as under way, unless the door is closed.
func (d *door) enter(underWay *sync.WaitGroup) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	underWay.Add(1)
	return true
}

// close lets nobody in any more. Closing a closed door does nothing.
func (d *door) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.Listener.Close()
}

// wait returns when the last client has left.
func (d *door) wait() { d.inside.Wait() }

// guest is a client's connection.
type guest struct {
	net.Conn
	once sync.Once
	left func()

	mu   sync.Mutex
	owed func()
}

// owe has a function called when the next answer was written, or the connection is closed.
func (g *guest) owe(answered func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.owed = answered
}

func (g *guest) settle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.owed != nil {
		g.owed()
		g.owed = nil
	}
}

// Write sends an answer.
func (g *guest) Write(b []byte) (int, error) {
	defer g.settle()
	return g.Conn.Write(b)
}

// Close ends the connection.
func (g *guest) Close() error {
	defer g.once.Do(g.left)
	defer g.settle()
	return g.Conn.Close()
}
