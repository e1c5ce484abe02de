// Package joblog makes a job's log: masked, stamped, limited, with its checksum.
package joblog

import (
	"fmt"
	"hash/crc32"
	"sync"
)

// Buffer keeps the whole log. Safe for concurrent use.
type Buffer struct {
	mu    sync.Mutex
	data  []byte
	limit int
	full  bool
}

// NewBuffer returns a buffer that takes limit bytes and then only says that it is full.
func NewBuffer(limit int) *Buffer { return &Buffer{limit: limit} }

// Write implements io.Writer. It never fails: what is too much is dropped.
func (b *Buffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full {
		return len(data), nil
	}
	if len(b.data)+len(data) <= b.limit {
		b.data = append(b.data, data...)
		return len(data), nil
	}
	b.data = append(b.data, data[:b.limit-len(b.data)]...)
	b.full = true
	b.data = fmt.Appendf(b.data, "\n%sJob's log exceeded limit of %d bytes.%s\n"+
		"Job execution will continue but no more output will be collected.\n", yellow, b.limit, reset)
	return len(data), nil
}

// Size is the length of the log in bytes.
func (b *Buffer) Size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.data)
}

// Part copies up to length bytes from an offset.
func (b *Buffer) Part(offset, length int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	offset = min(max(offset, 0), len(b.data))
	end := min(offset+length, len(b.data))
	return append([]byte(nil), b.data[offset:end]...)
}

// Checksum is the CRC-32 of the whole log, as GitLab compares it.
func (b *Buffer) Checksum() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("crc32:%08x", crc32.ChecksumIEEE(b.data))
}
