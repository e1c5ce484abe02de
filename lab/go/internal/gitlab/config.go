// Package gitlab is the part of the GitLab provider that this program uses, with the published
// provider's names, requests and rules.
package gitlab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	api "gitlab.com/gitlab-org/api/client-go"
)

const defaultRetries = 10

// Config is what the provider is told.
type Config struct {
	Token          *string           `pulumi:"token,optional" provider:"secret"`
	BaseURL        *string           `pulumi:"baseUrl,optional"`
	CacertFile     *string           `pulumi:"cacertFile,optional"`
	Insecure       *bool             `pulumi:"insecure,optional"`
	Headers        map[string]string `pulumi:"headers,optional"`
	Retries        *int              `pulumi:"retries,optional"`
	EarlyAuthCheck *bool             `pulumi:"earlyAuthCheck,optional"`

	client *api.Client
}

// Configure builds the client, and looks at /user unless that is turned off.
func (c *Config) Configure(ctx context.Context) error {
	token := text(c.Token, "GITLAB_TOKEN")
	base := text(c.BaseURL, "GITLAB_BASE_URL")
	if base == "" {
		base = "https://gitlab.com/api/v4/"
	}
	if !strings.HasSuffix(base, "/") {
		return fmt.Errorf("the base URL %q must end with a slash", base)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{
		InsecureSkipVerify: c.Insecure != nil && *c.Insecure, //nolint:gosec // the user's choice
	}
	if c.CacertFile != nil && *c.CacertFile != "" {
		pem, err := os.ReadFile(*c.CacertFile)
		if err != nil {
			return fmt.Errorf("cacertFile: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return fmt.Errorf("cacertFile: %s holds no certificate", *c.CacertFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	retries := defaultRetries
	if c.Retries != nil {
		retries = *c.Retries
	}
	options := []api.ClientOptionFunc{
		api.WithBaseURL(base),
		api.WithHTTPClient(&http.Client{Transport: transport}),
		api.WithCustomRetryMax(retries),
	}
	for name, value := range c.Headers {
		options = append(options, api.WithRequestOptions(api.WithHeader(name, value)))
	}
	client, err := api.NewAuthSourceClient(bearer{token}, options...)
	if err != nil {
		return err
	}
	c.client = client
	if c.earlyAuthCheck() {
		if _, _, err := client.Users.CurrentUser(api.WithContext(ctx)); err != nil {
			return fmt.Errorf("failed to authenticate against GitLab at %s: %w", base, err)
		}
	}
	return nil
}

func (c *Config) earlyAuthCheck() bool {
	if c.EarlyAuthCheck != nil {
		return *c.EarlyAuthCheck
	}
	if value, err := strconv.ParseBool(os.Getenv("GITLAB_EARLY_AUTH_CHECK")); err == nil {
		return value
	}
	return true
}

func text(value *string, env string) string {
	if value != nil && *value != "" {
		return *value
	}
	return os.Getenv(env)
}

// bearer sends any kind of token the way that the published provider does.
type bearer struct{ token string }

func (bearer) Init(context.Context, *api.Client) error { return nil }

func (b bearer) Header(context.Context) (string, string, error) {
	return "Authorization", "Bearer " + b.token, nil
}

func client(ctx context.Context) *api.Client { return infer.GetConfig[Config](ctx).client }

// Provider is the whole provider.
func Provider() (p.Provider, error) {
	return infer.NewProviderBuilder().
		WithConfig(infer.Config(&Config{})).
		WithResources(infer.Resource(&UserRunner{})).
		Build()
}
