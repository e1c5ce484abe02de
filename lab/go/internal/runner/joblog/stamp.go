package joblog

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

const (
	longLine    = 8 * 1024
	stampFormat = "2006-01-02T15:04:05.000000Z"
)

// stamper puts a time, the stream's number and its kind before each line:
//
//	2026-11-24T08:00:00.123456Z 01O text
//
// The blank before the text is a + where it belongs to the line before. Lines are written as a
// whole; a carriage return passes on what there is, so that progress can be watched.
type stamper struct {
	out    io.Writer
	stream byte
	kind   byte
	now    func() time.Time

	line []byte
	flag byte
	at   time.Time
}

func newStamper(out io.Writer, stream, kind byte) *stamper {
	return &stamper{out: out, stream: stream, kind: kind, now: time.Now, flag: ' '}
}

// Write implements io.Writer.
func (s *stamper) Write(data []byte) (int, error) {
	written := len(data)
	for len(data) > 0 {
		if len(s.line) == 0 {
			s.at = s.now()
		}
		end := bytes.IndexByte(data, '\n')
		if end >= 0 {
			s.line = append(s.line, data[:end]...)
			data = data[end+1:]
			if err := s.emit(' '); err != nil {
				return 0, err
			}
			continue
		}
		s.line = append(s.line, data...)
		if bytes.IndexByte(data, '\r') >= 0 || len(s.line) > longLine {
			if err := s.emit('+'); err != nil {
				return 0, err
			}
		}
		break
	}
	return written, nil
}

// emit writes the line; next is the flag of the one after it.
func (s *stamper) emit(next byte) error {
	_, err := fmt.Fprintf(s.out, "%s %02x%c%c%s\n",
		s.at.UTC().Format(stampFormat), s.stream, s.kind, s.flag, bytes.ToValidUTF8(s.line, []byte("\uFFFD")))
	s.line, s.flag = s.line[:0], next
	return err
}

// Close writes a last line without an end. It does not close what is below.
func (s *stamper) Close() error {
	if len(s.line) == 0 {
		return nil
	}
	return s.emit(' ')
}
