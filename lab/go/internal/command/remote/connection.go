// Package remote holds the resources that work on another machine over SSH.
package remote

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/retry"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const (
	defaultPort           = 22
	defaultUser           = "root"
	defaultDialErrorLimit = 10
	defaultPerDialTimeout = 15
	unlimited             = -1
)

// Endpoint is one SSH server and how to log in there.
type Endpoint struct {
	Host               *string  `pulumi:"host"`
	Port               *float64 `pulumi:"port,optional"`
	User               *string  `pulumi:"user,optional"`
	Password           *string  `pulumi:"password,optional" provider:"secret"`
	PrivateKey         *string  `pulumi:"privateKey,optional" provider:"secret"`
	PrivateKeyPassword *string  `pulumi:"privateKeyPassword,optional" provider:"secret"`
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
	a.SetDefault(&e.Port, defaultPort)
	a.SetDefault(&e.User, defaultUser)
	a.SetDefault(&e.DialErrorLimit, defaultDialErrorLimit)
	a.SetDefault(&e.PerDialTimeout, defaultPerDialTimeout)
}

// Annotate sets the defaults.
func (c *Connection) Annotate(a infer.Annotator) { defaults(a, &c.Endpoint) }

// Annotate sets the defaults.
func (c *ProxyConnection) Annotate(a infer.Annotator) { defaults(a, &c.Endpoint) }

// or gives what a pointer points at, or a value for none.
func or[T any](value *T, none T) T {
	if value == nil {
		return none
	}
	return *value
}

func (e *Endpoint) address() string {
	return net.JoinHostPort(or(e.Host, ""), strconv.Itoa(int(or(e.Port, defaultPort))))
}

// clientConfig says who logs in, with what, and which host key is the right one.
//
// Without a host key every key is taken, as the published plugin does. The limit of a dial covers
// the TCP connection and not the handshake: that too is the published plugin's.
func (e *Endpoint) clientConfig() (*ssh.ClientConfig, error) {
	config := &ssh.ClientConfig{
		User:            or(e.User, defaultUser),
		Timeout:         time.Duration(or(e.PerDialTimeout, defaultPerDialTimeout)) * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	}
	if e.HostKey != nil {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*e.HostKey))
		if err != nil {
			return nil, fmt.Errorf("failed to parse host key: %w", err)
		}
		config.HostKeyCallback = ssh.FixedHostKey(key)
		config.HostKeyAlgorithms = []string{key.Type()}
	}
	if e.PrivateKey != nil {
		signer, err := e.signer()
		if err != nil {
			return nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if e.Password != nil {
		config.Auth = append(config.Auth, ssh.Password(*e.Password), ssh.KeyboardInteractive(e.answer))
	}
	// Even beside a key: a socket that is named and not there is an error.
	if socket := or(e.AgentSocketPath, os.Getenv("SSH_AUTH_SOCK")); socket != "" {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeysCallback(agent.NewClient(conn).Signers))
	}
	return config, nil
}

func (e *Endpoint) signer() (ssh.Signer, error) {
	if e.PrivateKeyPassword != nil {
		return ssh.ParsePrivateKeyWithPassphrase([]byte(*e.PrivateKey), []byte(*e.PrivateKeyPassword))
	}
	return ssh.ParsePrivateKey([]byte(*e.PrivateKey))
}

// answer gives the password to each question that a server asks.
func (e *Endpoint) answer(_, _ string, questions []string, _ []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i := range questions {
		answers[i] = *e.Password
	}
	return answers, nil
}

// Dial connects, through the bastion when there is one, and tries again as often as is asked for.
func (c *Connection) Dial(ctx context.Context) (*ssh.Client, error) {
	config, err := c.clientConfig()
	if err != nil {
		return nil, err
	}
	if c.Proxy == nil {
		return persist(ctx, "Dial", &c.Endpoint, func() (*ssh.Client, error) {
			return ssh.Dial("tcp", c.address(), config)
		})
	}
	client, err := c.dialThrough(ctx, c.Proxy, config)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return client, nil
}

// dialThrough connects to the bastion, from there to the machine, and logs in there.
func (c *Connection) dialThrough(ctx context.Context, bastion *ProxyConnection, config *ssh.ClientConfig) (
	*ssh.Client, error,
) {
	bastionConfig, err := bastion.clientConfig()
	if err != nil {
		return nil, err
	}
	proxy, err := persist(ctx, "Dial proxy", &bastion.Endpoint, func() (*ssh.Client, error) {
		return ssh.Dial("tcp", bastion.address(), bastionConfig)
	})
	if err != nil {
		return nil, err
	}
	conn, err := persist(ctx, "Dial from proxy", &c.Endpoint, func() (net.Conn, error) {
		return proxy.Dial("tcp", c.address())
	})
	if err != nil {
		_ = proxy.Close()
		return nil, err
	}
	// As in the published plugin, a failed handshake is tried again on the same connection, which
	// the server has closed by then: after the last try the error is rarely the first one's.
	client, err := persist(ctx, "Dial", &c.Endpoint, func() (*ssh.Client, error) {
		sshConn, channels, requests, err := ssh.NewClientConn(conn, c.address(), config)
		if err != nil {
			return nil, err
		}
		return ssh.NewClient(sshConn, channels, requests), nil
	})
	if err != nil {
		_ = proxy.Close()
		return nil, err
	}
	go func() {
		_ = client.Wait()
		_ = proxy.Close()
	}()
	return client, nil
}

// persist tries once more than dialErrorLimit says, without end for -1; pauses of 100 ms, 150 ms,
// … up to 5 s lie between.
func persist[T any](ctx context.Context, what string, e *Endpoint, dial func() (T, error)) (T, error) {
	limit := or(e.DialErrorLimit, defaultDialErrorLimit)
	shown := strconv.Itoa(limit)
	if limit == unlimited {
		shown = "inf"
	}
	var connected T
	done, _, err := retry.Until(ctx, retry.Acceptor{
		Accept: func(try int, _ time.Duration) (bool, any, error) {
			var err error
			if connected, err = dial(); err == nil {
				return true, nil, nil
			}
			if limit > unlimited && try >= limit {
				return false, nil, fmt.Errorf("after %d failed attempts: %w", try, err)
			}
			p.GetLogger(ctx).InfoStatusf("%s %d/%s failed: retrying", what, try+1, shown)
			return false, nil, nil
		},
	})
	if err == nil && !done {
		err = ctx.Err()
	}
	return connected, err
}
