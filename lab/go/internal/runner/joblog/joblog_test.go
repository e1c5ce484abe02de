package joblog

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func mask(t *testing.T, secrets []secret, pieces ...string) string {
	t.Helper()
	var out bytes.Buffer
	m := newMasker(&out, secrets)
	for _, piece := range pieces {
		_, err := m.Write([]byte(piece))
		require.NoError(t, err)
	}
	require.NoError(t, m.Close())
	return out.String()
}

func TestMasks(t *testing.T) {
	secrets := secretsOf([]string{"hunter2", "hunter22", "multi\nline", ""}, []string{"corp-"}, true)
	for in, want := range map[string]string{
		"the password is hunter2.":        "the password is [MASKED].",
		"the longer one: hunter22":        "the longer one: [MASKED]",
		"hunter":                          "hunter",
		"multi\nline":                     "[MASKED]",
		"corp-abc.def end":                "corp-[MASKED] end",
		"glrt-abcDEF_1-2 end":             "glrt-[MASKED] end",
		"glpat-":                          "glpat-",
		"http://x/?private_token=abc&a=1": "http://x/?private_token=[MASKED]&a=1",
		"http://x/?PRIVATE_TOKEN=abc\"":   "http://x/?PRIVATE_TOKEN=[MASKED]\"",
		"hunter2hunter2":                  "[MASKED][MASKED]",
		"":                                "",
	} {
		require.Equal(t, want, mask(t, secrets, in))
	}
}

func TestMasksWhateverTheWritesAreCutInto(t *testing.T) {
	secrets := secretsOf([]string{"hunter2"}, nil, true)
	text := "a hunter2 b glrt-abcdef c hunter"
	for size := 1; size < len(text); size++ {
		var pieces []string
		for rest := text; rest != ""; {
			cut := min(size, len(rest))
			pieces, rest = append(pieces, rest[:cut]), rest[cut:]
		}
		require.Equal(t, "a [MASKED] b glrt-[MASKED] c hunter", mask(t, secrets, pieces...), "pieces of %d", size)
	}
}

func TestDefaultTokensAreMaskedOnlyWhenWanted(t *testing.T) {
	require.Equal(t, "glrt-abc", mask(t, secretsOf(nil, nil, false), "glrt-abc"))
}

func TestStamps(t *testing.T) {
	var out bytes.Buffer
	s := newStamper(&out, Work, 'E')
	s.now = func() time.Time { return time.Date(2026, 11, 24, 8, 0, 0, 123456000, time.UTC) }
	for _, piece := range []string{"one\ntw", "o\n", "10%\r", "20%\r", "done\nlast"} {
		_, err := s.Write([]byte(piece))
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	const stamp = "2026-11-24T08:00:00.123456Z 01E"
	require.Equal(t, strings.Join([]string{
		stamp + " one", stamp + " two", stamp + " 10%\r", stamp + "+20%\r", stamp + "+done", stamp + " last", "",
	}, "\n"), out.String())
}

func TestStampsReplaceWhatIsNoText(t *testing.T) {
	var out bytes.Buffer
	s := newStamper(&out, Own, 'O')
	_, err := s.Write([]byte("a\xffb\n"))
	require.NoError(t, err)
	require.Contains(t, out.String(), "00O a\uFFFDb\n")
}

func TestBufferStopsAtItsLimit(t *testing.T) {
	b := NewBuffer(10)
	for range 3 {
		n, err := b.Write([]byte("12345678"))
		require.NoError(t, err)
		require.Equal(t, 8, n)
	}
	text := string(b.Part(0, 1000))
	require.True(t, strings.HasPrefix(text, "1234567812\n"), text)
	require.Equal(t, 1, strings.Count(text, "exceeded limit of 10 bytes"))
	require.Equal(t, len(text), b.Size())
}

func TestBufferHandsOutParts(t *testing.T) {
	b := NewBuffer(100)
	_, _ = b.Write([]byte("hello"))
	require.Equal(t, "ell", string(b.Part(1, 3)))
	require.Equal(t, "lo", string(b.Part(3, 100)))
	require.Empty(t, b.Part(99, 5))
	// printf hello | gzip -c | tail -c8 | head -c4 | xxd -e
	require.Equal(t, "crc32:3610a686", b.Checksum())
}

func TestSections(t *testing.T) {
	b := NewBuffer(1000)
	l := New(b, Options{Sections: true})
	failure := fmt.Errorf("failed")
	require.Equal(t, failure, l.Section("get_sources", "Getting source", func() error {
		l.Println("inside")
		return failure
	}))
	require.NoError(t, l.Close())
	require.Regexp(t, "^section_start:[0-9]+:get_sources\r\x1b\\[0K\x1b\\[36;1mGetting source\x1b\\[0;m\n"+
		"inside\nsection_end:[0-9]+:get_sources\r\x1b\\[0K\n$", string(b.Part(0, 1000)))
}

func TestOwnLinesAreMaskedToo(t *testing.T) {
	b := NewBuffer(1000)
	l := New(b, Options{Masked: []string{"hunter2"}})
	l.Info("green", "hunter2")
	l.Warning("w")
	l.Error("e")
	require.NoError(t, l.Close())
	require.Equal(t, "\x1b[32;1mgreen [MASKED]\x1b[0;m\n\x1b[0;33mWARNING: w\x1b[0;m\n\x1b[31;1mERROR: e\x1b[0;m\n",
		string(b.Part(0, 1000)))
}
