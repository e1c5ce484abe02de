package gitlab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-go-provider/infer"
	api "gitlab.com/gitlab-org/api/client-go"
	"golang.org/x/oauth2"
)

const (
	defaultRetries = 10
	defaultBaseURL = "https://gitlab.com/api/v4/"
)

// Config is what the provider is told.
type Config struct {
	Token               *string           `pulumi:"token,optional" provider:"secret"`
	BaseURL             *string           `pulumi:"baseUrl,optional"`
	CacertFile          *string           `pulumi:"cacertFile,optional"`
	ClientCert          *string           `pulumi:"clientCert,optional"`
	ClientKey           *string           `pulumi:"clientKey,optional"`
	ConfigFile          *string           `pulumi:"configFile,optional"`
	Context             *string           `pulumi:"context,optional"`
	EarlyAuthCheck      *bool             `pulumi:"earlyAuthCheck,optional"`
	EnableAutoCiSupport *bool             `pulumi:"enableAutoCiSupport,optional"`
	Headers             map[string]string `pulumi:"headers,optional"`
	Insecure            *bool             `pulumi:"insecure,optional"`
	Retries             *int              `pulumi:"retries,optional"`

	client *api.Client
}

// Configure builds the client, and looks at /user unless that is turned off.
func (c *Config) Configure(ctx context.Context) error {
	if c.ConfigFile != nil || c.Context != nil || or(c.EnableAutoCiSupport, false) {
		return errors.New("configFile, context and enableAutoCiSupport are not known to the lab's provider: give a token")
	}
	token := or(c.Token, os.Getenv("GITLAB_TOKEN"))
	if token == "" {
		return errors.New("no token: set token, or GITLAB_TOKEN in the environment")
	}
	transport, err := c.transport()
	if err != nil {
		return err
	}
	base := c.base()
	if !strings.HasSuffix(base, "/") {
		return fmt.Errorf("the base URL %q must end with a slash", base)
	}
	options := []api.ClientOptionFunc{
		api.WithBaseURL(base),
		api.WithHTTPClient(&http.Client{Transport: transport}),
		api.WithCustomRetryMax(or(c.Retries, defaultRetries)),
		api.WithRequestOptions(api.WithHeaders(c.Headers)),
	}
	// Every kind of token passes as a bearer token.
	source := api.OAuthTokenSource{
		TokenSource: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}),
	}
	if c.client, err = api.NewAuthSourceClient(source, options...); err != nil {
		return err
	}
	if c.wantsEarlyAuthCheck() {
		_, _, err = c.client.Users.CurrentUser(api.WithContext(ctx))
	}
	return err
}

func (c *Config) base() string {
	if base := or(c.BaseURL, os.Getenv("GITLAB_BASE_URL")); base != "" {
		return base
	}
	return defaultBaseURL
}

// transport trusts what the machine trusts, or the given CA and nothing else.
func (c *Config) transport() (*http.Transport, error) {
	settings := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: or(c.Insecure, false),
	}
	if file := or(c.CacertFile, ""); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		settings.RootCAs = x509.NewCertPool()
		settings.RootCAs.AppendCertsFromPEM(pem)
	}
	if cert, key := or(c.ClientCert, ""), or(c.ClientKey, ""); cert != "" && key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = settings
	return transport, nil
}

func (c *Config) wantsEarlyAuthCheck() bool {
	if c.EarlyAuthCheck != nil {
		return *c.EarlyAuthCheck
	}
	if value, err := strconv.ParseBool(os.Getenv("GITLAB_EARLY_AUTH_CHECK")); err == nil {
		return value
	}
	return true
}

// or gives what a pointer points at, or a value for none.
func or[T any](value *T, none T) T {
	if value == nil {
		return none
	}
	return *value
}

func client(ctx context.Context) *api.Client { return infer.GetConfig[*Config](ctx).client }
