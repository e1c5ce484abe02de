// Package sshtest is an SSH server for tests: it runs commands in /bin/sh, serves files by SFTP and
// forwards connections, all as the user who runs the test.
package sshtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// Server is one SSH server on loopback.
type Server struct {
	Port int
	// HostKey is its public key, as a line of authorized_keys.
	HostKey string

	t        *testing.T
	settings Settings
	config   *ssh.ServerConfig

	mu       sync.Mutex
	logins   []string
	commands []string
}

// Settings is what a server takes.
type Settings struct {
	// AcceptEnv names the variables that a client may set.
	AcceptEnv []string
	// Refuse breaks off that many connections first.
	Refuse int
	// Authorized is the public key that may log in; Password the password.
	Authorized ssh.PublicKey
	Password   string
}

// Key is a new key pair.
type Key struct {
	Signer ssh.Signer
	// Public is a line of authorized_keys, PEM the private key.
	Public, PEM string
}

// NewKey makes a key pair, encrypted when there is a passphrase.
func NewKey(t *testing.T, passphrase string) Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return Key{signer, string(ssh.MarshalAuthorizedKey(signer.PublicKey())), string(pem.EncodeToMemory(block))}
}

// Start serves until the end of the test.
func Start(t *testing.T, settings Settings) *Server {
	t.Helper()
	host := NewKey(t, "")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Port: listener.Addr().(*net.TCPAddr).Port, HostKey: host.Public, t: t, settings: settings,
		config: &ssh.ServerConfig{},
	}
	if settings.Authorized != nil {
		s.config.PublicKeyCallback = func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) != string(settings.Authorized.Marshal()) {
				return nil, errors.New("another key")
			}
			return nil, nil
		}
	}
	if settings.Password != "" {
		s.config.PasswordCallback = func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if string(password) != settings.Password {
				return nil, errors.New("another password")
			}
			return nil, nil
		}
	}
	s.config.AddHostKey(host.Signer)
	t.Cleanup(func() { _ = listener.Close() })
	go s.accept(listener)
	return s
}

// Logins lists the users that have logged in.
func (s *Server) Logins() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.logins)
}

// Commands lists what was run.
func (s *Server) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

func (s *Server) accept(listener net.Listener) {
	for refused := 0; ; refused++ {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		if refused < s.settings.Refuse {
			_ = conn.Close()
			continue
		}
		go s.serve(conn)
	}
}

func (s *Server) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	login, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.logins = append(s.logins, login.User())
	s.mu.Unlock()
	go ssh.DiscardRequests(requests)
	for channel := range channels {
		switch channel.ChannelType() {
		case "session":
			go s.session(channel)
		case "direct-tcpip":
			go forward(channel)
		default:
			_ = channel.Reject(ssh.UnknownChannelType, "no")
		}
	}
}

func (s *Server) session(incoming ssh.NewChannel) {
	channel, requests, err := incoming.Accept()
	if err != nil {
		return
	}
	defer func() { _ = channel.Close() }()
	env := os.Environ()
	for request := range requests {
		switch request.Type {
		case "env":
			var pair struct{ Name, Value string }
			accepted := ssh.Unmarshal(request.Payload, &pair) == nil && slices.Contains(s.settings.AcceptEnv, pair.Name)
			if accepted {
				env = append(env, pair.Name+"="+pair.Value)
			}
			_ = request.Reply(accepted, nil)
		case "exec":
			var line struct{ Value string }
			if ssh.Unmarshal(request.Payload, &line) != nil {
				return
			}
			_ = request.Reply(true, nil)
			s.run(channel, line.Value, env)
			return
		case "subsystem":
			_ = request.Reply(true, nil)
			server, err := sftp.NewServer(channel)
			if err == nil {
				_ = server.Serve()
			}
			return
		default:
			_ = request.Reply(false, nil)
		}
	}
}

func (s *Server) run(channel ssh.Channel, line string, env []string) {
	s.mu.Lock()
	s.commands = append(s.commands, line)
	s.mu.Unlock()
	command := exec.Command("/bin/sh", "-c", line)
	command.Env = env
	command.Stdout, command.Stderr = channel, channel.Stderr()
	// A client may keep its end of stdin open: the command's end is what counts.
	stdin, err := command.StdinPipe()
	if err == nil {
		go func() {
			_, _ = io.Copy(stdin, channel)
			_ = stdin.Close()
		}()
		err = command.Run()
	}
	status := struct{ Status uint32 }{}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		status.Status = uint32(exit.ExitCode())
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(&status))
}

func forward(incoming ssh.NewChannel) {
	var target struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
	if ssh.Unmarshal(incoming.ExtraData(), &target) != nil {
		_ = incoming.Reject(ssh.ConnectionFailed, "no target")
		return
	}
	conn, err := net.Dial("tcp", net.JoinHostPort(target.Host, strconv.Itoa(int(target.Port))))
	if err != nil {
		_ = incoming.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer func() { _ = conn.Close() }()
	channel, requests, err := incoming.Accept()
	if err != nil {
		return
	}
	defer func() { _ = channel.Close() }()
	go ssh.DiscardRequests(requests)
	go func() {
		_, _ = io.Copy(conn, channel)
		_ = conn.Close()
	}()
	_, _ = io.Copy(channel, conn)
}
