package consumer

import "sync"

// memory remembers something of the last so many messages. The oldest entry
// goes first: what it loses costs a repeated question, never a mail.
type memory[V any] struct {
	size int

	mu     sync.Mutex
	values map[string]V
	order  []string // ring of keys, oldest at next; forgotten keys stay until their turn
	next   int
}

func newMemory[V any](size int) *memory[V] {
	return &memory[V]{size: size, values: map[string]V{}}
}

func (m *memory[V]) get(key string) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	return v, ok
}

func (m *memory[V]) put(key string, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.values[key]; known {
		m.values[key] = v
		return
	}
	m.values[key] = v
	if len(m.order) < m.size {
		m.order = append(m.order, key)
		return
	}
	delete(m.values, m.order[m.next])
	m.order[m.next] = key
	m.next = (m.next + 1) % len(m.order)
}

func (m *memory[V]) forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, key)
}
