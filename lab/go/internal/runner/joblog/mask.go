package joblog

import (
	"bytes"
	"io"
)

const masked = "[MASKED]"

// secret is something that must not be read in a log.
type secret struct {
	text []byte
	fold bool
	// tail tells which bytes after text belong to the secret. With it text itself may be read,
	// and what follows is masked; without it text is masked.
	tail func(byte) bool
}

func (s *secret) matches(data []byte) bool {
	if len(data) < len(s.text) {
		return false
	}
	return s.same(data[:len(s.text)])
}

// begins tells whether all of data is the start of the secret, which may go on with what comes.
func (s *secret) begins(data []byte) bool {
	if len(data) >= len(s.text) {
		return false
	}
	return s.same(data)
}

// same compares data with as much of the secret.
func (s *secret) same(data []byte) bool {
	if s.fold {
		return bytes.EqualFold(data, s.text[:len(data)])
	}
	return bytes.Equal(data, s.text[:len(data)])
}

// masker hides secrets in what is written through it, also where a secret is cut into several
// writes: it holds back what may be the beginning of one.
type masker struct {
	out     io.Writer
	secrets []secret
	first   [256]bool

	held []byte
	// tail is set inside of a secret whose end is not known yet; shown, when its mask is written.
	tail  func(byte) bool
	shown bool
}

func newMasker(out io.Writer, secrets []secret) *masker {
	m := &masker{out: out, secrets: secrets}
	for _, secret := range secrets {
		first := secret.text[0]
		m.first[first] = true
		if secret.fold {
			m.first[bytes.ToLower([]byte{first})[0]] = true
			m.first[bytes.ToUpper([]byte{first})[0]] = true
		}
	}
	return m
}

// Write implements io.Writer.
func (m *masker) Write(data []byte) (int, error) {
	m.held = append(m.held, data...)
	return len(data), m.flush(false)
}

// Close writes what was held back. It does not close what is below.
func (m *masker) Close() error { return m.flush(true) }

func (m *masker) flush(last bool) error {
	var clean bytes.Buffer
	data := m.held
	for len(data) > 0 {
		if m.tail != nil {
			if !m.tail(data[0]) {
				m.tail = nil
				continue
			}
			if !m.shown {
				clean.WriteString(masked)
				m.shown = true
			}
			data = data[1:]
			continue
		}
		if !m.first[data[0]] {
			end := 1
			for end < len(data) && !m.first[data[end]] {
				end++
			}
			clean.Write(data[:end])
			data = data[end:]
			continue
		}
		found, more := m.find(data)
		if more && !last {
			break
		}
		switch {
		case found == nil:
			clean.WriteByte(data[0])
			data = data[1:]
		case found.tail != nil:
			clean.Write(data[:len(found.text)])
			data = data[len(found.text):]
			m.tail, m.shown = found.tail, false
		default:
			clean.WriteString(masked)
			data = data[len(found.text):]
		}
	}
	m.held = append(m.held[:0], data...)
	if clean.Len() == 0 {
		return nil
	}
	_, err := m.out.Write(clean.Bytes())
	return err
}

// find returns the longest secret that data begins with, and whether what comes next could make it
// a longer one.
func (m *masker) find(data []byte) (found *secret, more bool) {
	for index := range m.secrets {
		secret := &m.secrets[index]
		if secret.matches(data) {
			if found == nil || len(secret.text) > len(found.text) {
				found = secret
			}
		} else if secret.begins(data) {
			more = true
		}
	}
	return found, more
}

// defaultTokenPrefixes are those of GitLab's own tokens.
var defaultTokenPrefixes = []string{
	"glpat-", "gloas-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-",
	"glwt-", "glsoat-", "glffct-", "_gitlab_session=", "gltok-",
}

// urlSecrets are parameters of URLs that open something.
var urlSecrets = []string{
	"private_token", "authenticity_token", "rss_token", "x-amz-signature", "x-amz-credential",
	"x-amz-security-token", "feed_token", "job_token",
}

func inToken(char byte) bool {
	return char == '-' || char == '_' || char == '.' || char == '=' || (char >= '0' && char <= '9') ||
		(char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z')
}

func inParameter(char byte) bool {
	return char > ' ' && char != '&' && char != '"' && char != '\'' && char != 0x7f
}

// secretsOf lists what a job's log must not show.
func secretsOf(phrases, prefixes []string, defaults bool) []secret {
	var secrets []secret
	seen := map[string]bool{}
	add := func(text string, fold bool, tail func(byte) bool) {
		if text != "" && !seen[text] {
			seen[text] = true
			secrets = append(secrets, secret{text: []byte(text), fold: fold, tail: tail})
		}
	}
	for _, phrase := range phrases {
		add(phrase, false, nil)
	}
	for _, prefix := range prefixes {
		add(prefix, false, inToken)
	}
	if defaults {
		for _, prefix := range defaultTokenPrefixes {
			add(prefix, false, inToken)
		}
	}
	for _, name := range urlSecrets {
		add("?"+name+"=", true, inParameter)
		add("&"+name+"=", true, inParameter)
	}
	return secrets
}
