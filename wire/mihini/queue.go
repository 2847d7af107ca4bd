package mihini

import "sync"

// blockSize makes a block 16 KiB in all, which is a size that the allocator has.
const blockSize = 16<<10 - 24

// A block is a piece of a queue.
type block struct {
	next *block
	r, w int // the bytes between are waiting
	data [blockSize]byte
}

var blocks = sync.Pool{New: func() any { return new(block) }}

// A queue holds bytes between the link and a stream's reader. However small the pieces in which they come, it takes one
// block more than the bytes need, at most.
type queue struct {
	head, tail *block
	size       int
}

func (q *queue) write(p []byte) {
	q.size += len(p)
	for len(p) > 0 {
		if q.tail == nil || q.tail.w == blockSize {
			q.grow()
		}
		n := copy(q.tail.data[q.tail.w:], p)
		q.tail.w += n
		p = p[n:]
	}
}

func (q *queue) grow() {
	b := blocks.Get().(*block)
	b.next, b.r, b.w = nil, 0, 0
	if q.tail == nil {
		q.head = b
	} else {
		q.tail.next = b
	}
	q.tail = b
}

// read takes what fits into p.
func (q *queue) read(p []byte) (n int) {
	for n < len(p) && q.size > 0 {
		b := q.head
		m := copy(p[n:], b.data[b.r:b.w])
		b.r += m
		n += m
		q.size -= m
		if b.r == b.w {
			blocks.Put(q.take())
		}
	}
	return n
}

// take takes the first block out of a queue that is not empty.
func (q *queue) take() *block {
	b := q.head
	if q.head = b.next; q.head == nil {
		q.tail = nil
	}
	q.size -= b.w - b.r
	return b
}

// clear drops everything and returns how many bytes that were.
func (q *queue) clear() int {
	n := q.size
	for q.head != nil {
		blocks.Put(q.take())
	}
	return n
}
