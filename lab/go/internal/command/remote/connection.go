// Package remote holds the resources that work on another machine over SSH.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const (
	defaultDialErrorLimit = 10
	defaultPerDialTimeout = 15
	firstPause            = 100 * time.Millisecond
	longestPause          = 5 * time.Second
)

// Endpoint is one SSH server and how to log in there.
type Endpoint struct {
	Host               *string  `pulumi:"host"`
	Port               *float64 `pulumi:"port,optional"`
	User               *string  `pulumi:"user,optional"`
	Password           *string  `pulumi:"password,optional"`
	PrivateKey         *string  `pulumi:"privateKey,optional"`
	PrivateKeyPassword *string  `pulumi:"privateKeyPassword,optional"`
	AgentSocketPath    *string  `pulumi:"agentSocketPath,optional"`
	DialErrorLimit     *int     `pulumi:"dialErrorLimit,optional"`
	PerDialTimeout     *int     `pulumi:"perDialTimeout,optional"`
	HostKey            *string  `pulumi:"hostKey,optional"`
}

// ProxyConnection is the bastion through which a connection goes.
type ProxyConnection struct {
	Endpoint
}

// Connection is how a resource reaches its machine.
type Connection struct {
	Endpoint
	Proxy *ProxyConnection `pulumi:"proxy,optional"`
}

func defaults(a infer.Annotator, e *Endpoint) {
	a.SetDefault(&e.Port, 22)
	a.SetDefault(&e.User, "root")
	a.SetDefault(&e.DialErrorLimit, defaultDialErrorLimit)
	a.SetDefault(&e.PerDialTimeout, defaultPerDialTimeout)
}

// Annotate sets the defaults.
func (c *Connection) Annotate(a infer.Annotator) { defaults(a, &c.Endpoint) }

// Annotate sets the defaults.
func (c *ProxyConnection) Annotate(a infer.Annotator) { defaults(a, &c.Endpoint) }

func (e *Endpoint) address() string {
	port := 22
	if e.Port != nil {
		port = int(*e.Port)
	}
	return net.JoinHostPort(*e.Host, strconv.Itoa(port))
}

func (e *Endpoint) timeout() time.Duration {
	if e.PerDialTimeout == nil {
		return defaultPerDialTimeout * time.Second
	}
	return time.Duration(*e.PerDialTimeout) * time.Second
}

// clientConfig says who logs in, with what, and which host key is the right one.
func (e *Endpoint) clientConfig() (*ssh.ClientConfig, error) {
	config := &ssh.ClientConfig{User: "root", Timeout: e.timeout()}
	if e.User != nil {
		config.User = *e.User
	}
	if e.HostKey == nil {
		config.HostKeyCallback = ssh.InsecureIgnoreHostKey()
	} else {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*e.HostKey))
		if err != nil {
			return nil, fmt.Errorf("failed to parse host key: %w", err)
		}
		config.HostKeyCallback = ssh.FixedHostKey(key)
		config.HostKeyAlgorithms = []string{key.Type()}
	}
	if e.PrivateKey != nil {
		var signer ssh.Signer
		var err error
		if e.PrivateKeyPassword != nil {
			signer, err = ssh.ParsePrivateKeyWithPassphrase([]byte(*e.PrivateKey), []byte(*e.PrivateKeyPassword))
		} else {
			signer, err = ssh.ParsePrivateKey([]byte(*e.PrivateKey))
		}
		if err != nil {
			return nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if e.Password != nil {
		config.Auth = append(config.Auth, ssh.Password(*e.Password),
			ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
				answers := make([]string, len(questions))
				for i := range questions {
					answers[i] = *e.Password
				}
				return answers, nil
			}))
	}
	socket := os.Getenv("SSH_AUTH_SOCK")
	if e.AgentSocketPath != nil {
		socket = *e.AgentSocketPath
	}
	if len(config.Auth) == 0 && socket != "" {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeysCallback(agent.NewClient(conn).Signers))
	}
	return config, nil
}

// dialer opens one TCP connection; a bastion's client is one.
type dialer func(network, address string) (net.Conn, error)

// Dial connects, through the bastion when there is one, and tries again as often as is asked for.
func (c *Connection) Dial(ctx context.Context) (*ssh.Client, error) {
	open := func(network, address string) (net.Conn, error) {
		return net.DialTimeout(network, address, c.timeout())
	}
	if c.Proxy != nil {
		proxy, err := c.Proxy.dial(ctx, func(network, address string) (net.Conn, error) {
			return net.DialTimeout(network, address, c.Proxy.timeout())
		})
		if err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
		client, err := c.Endpoint.dial(ctx, proxy.Dial)
		if err != nil {
			return nil, errors.Join(err, proxy.Close())
		}
		go func() {
			_ = client.Wait()
			_ = proxy.Close()
		}()
		return client, nil
	}
	return c.Endpoint.dial(ctx, open)
}

func (e *Endpoint) dial(ctx context.Context, open dialer) (*ssh.Client, error) {
	config, err := e.clientConfig()
	if err != nil {
		return nil, err
	}
	limit := defaultDialErrorLimit
	if e.DialErrorLimit != nil {
		limit = *e.DialErrorLimit
	}
	pause := firstPause
	for attempt := 1; ; attempt++ {
		client, err := handshake(e.address(), config, open)
		if err == nil {
			return client, nil
		}
		if limit >= 0 && attempt > limit {
			return nil, fmt.Errorf("after %d failed attempts: %w", attempt, err)
		}
		p.GetLogger(ctx).InfoStatusf("Dial %d/%d failed: retrying", attempt, limit)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause = min(pause*3/2, longestPause)
	}
}

func handshake(address string, config *ssh.ClientConfig, open dialer) (*ssh.Client, error) {
	conn, err := open("tcp", address)
	if err != nil {
		return nil, err
	}
	if config.Timeout > 0 {
		// The handshake has no limit of its own: a server that accepts and says nothing would hang.
		_ = conn.SetDeadline(time.Now().Add(config.Timeout))
	}
	clientConn, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_ = conn.SetDeadline(time.Time{})
	return ssh.NewClient(clientConn, channels, requests), nil
}
