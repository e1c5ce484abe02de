package helper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/urfave/cli"
)

const (
	healthPause   = time.Second
	healthTimeout = 10 * time.Minute
)

// HealthCheckCommand waits until a service answers on one of its ports.
func HealthCheckCommand() cli.Command {
	return cli.Command{
		Name:  "health-check",
		Usage: "check health for a specific address",
		Flags: []cli.Flag{
			cli.StringSliceFlag{Name: "port, p", Usage: "Service port"},
		},
		Action: func(call *cli.Context) error {
			addresses, err := serviceAddresses(call.StringSlice("port"), environment())
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
			defer cancel()
			return waitForAny(ctx, addresses, func(text string) { fmt.Fprintln(call.App.Writer, text) })
		},
	}
}

// serviceAddresses finds out what to dial: the ports asked for on WAIT_FOR_SERVICE_TCP_ADDR, or what
// Docker's links say.
func serviceAddresses(ports, env []string) ([]string, error) {
	var host, port string
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case strings.HasSuffix(name, "_TCP_ADDR"):
			host = value
		case strings.HasSuffix(name, "_TCP_PORT"):
			port = value
		}
	}
	if host == "" {
		return nil, errors.New("no HOST found")
	}
	if len(ports) == 0 && port != "" {
		ports = []string{port}
	}
	if len(ports) == 0 {
		return nil, errors.New("no PORT found")
	}
	addresses := make([]string, len(ports))
	for index, port := range ports {
		addresses[index] = net.JoinHostPort(host, port)
	}
	return addresses, nil
}

// waitForAny dials until one address answers, or ctx ends.
func waitForAny(ctx context.Context, addresses []string, say func(string)) error {
	say("waiting for TCP connection to " + strings.Join(addresses, ", ") + "...")
	dialer := net.Dialer{Timeout: healthPause}
	for {
		for _, address := range addresses {
			conn, err := dialer.DialContext(ctx, "tcp", address)
			if err == nil {
				say("connected to " + address)
				return conn.Close()
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("none of %s answers: %w", strings.Join(addresses, ", "), ctx.Err())
		case <-time.After(healthPause):
		}
	}
}
