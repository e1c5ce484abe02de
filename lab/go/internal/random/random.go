// Package random is the part of the random provider that this program uses.
package random

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
)

const (
	lowerCase      = "abcdefghijklmnopqrstuvwxyz"
	upperCase      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits         = "0123456789"
	defaultSpecial = "!@#$%&*()-_=+[]{}<>:?"
)

// RandomString is a string that is drawn once and kept as long as its keepers stay the same.
type RandomString struct{}

// RandomStringInputs says how the string is drawn; every change draws a new one.
type RandomStringInputs struct {
	Keepers         map[string]string `pulumi:"keepers,optional" provider:"replaceOnChanges"`
	Length          int               `pulumi:"length" provider:"replaceOnChanges"`
	Lower           *bool             `pulumi:"lower,optional" provider:"replaceOnChanges"`
	MinLower        *int              `pulumi:"minLower,optional" provider:"replaceOnChanges"`
	MinNumeric      *int              `pulumi:"minNumeric,optional" provider:"replaceOnChanges"`
	MinSpecial      *int              `pulumi:"minSpecial,optional" provider:"replaceOnChanges"`
	MinUpper        *int              `pulumi:"minUpper,optional" provider:"replaceOnChanges"`
	Number          *bool             `pulumi:"number,optional" provider:"replaceOnChanges"`
	Numeric         *bool             `pulumi:"numeric,optional" provider:"replaceOnChanges"`
	OverrideSpecial *string           `pulumi:"overrideSpecial,optional" provider:"replaceOnChanges"`
	Special         *bool             `pulumi:"special,optional" provider:"replaceOnChanges"`
	Upper           *bool             `pulumi:"upper,optional" provider:"replaceOnChanges"`
}

// RandomStringState adds what was drawn; the id is the same string.
type RandomStringState struct {
	RandomStringInputs
	Result string `pulumi:"result"`
}

// Annotate sets the token under which the npm SDK knows the resource.
func (r *RandomString) Annotate(a infer.Annotator) { a.SetToken("index/randomString", "RandomString") }

// Create draws the string.
func (*RandomString) Create(_ context.Context, req infer.CreateRequest[RandomStringInputs]) (
	infer.CreateResponse[RandomStringState], error,
) {
	state := RandomStringState{RandomStringInputs: req.Inputs}
	if req.DryRun {
		return infer.CreateResponse[RandomStringState]{Output: state}, nil
	}
	result, err := Draw(req.Inputs)
	if err != nil {
		return infer.CreateResponse[RandomStringState]{}, err
	}
	state.Result = result
	return infer.CreateResponse[RandomStringState]{ID: result, Output: state}, nil
}

// Draw makes a string that fulfils the inputs.
func Draw(in RandomStringInputs) (string, error) {
	special := defaultSpecial
	if in.OverrideSpecial != nil && *in.OverrideSpecial != "" {
		special = *in.OverrideSpecial
	}
	classes := []struct {
		on    bool
		least int
		chars string
	}{
		{on(in.Lower), count(in.MinLower), lowerCase},
		{on(in.Upper), count(in.MinUpper), upperCase},
		{on(in.Numeric) && on(in.Number), count(in.MinNumeric), digits},
		{on(in.Special), count(in.MinSpecial), special},
	}
	var all strings.Builder
	var drawn []byte
	for _, class := range classes {
		if class.on {
			all.WriteString(class.chars)
		}
		for range class.least {
			char, err := one(class.chars)
			if err != nil {
				return "", err
			}
			drawn = append(drawn, char)
		}
	}
	if in.Length < 1 || in.Length < len(drawn) {
		return "", fmt.Errorf("length %d is smaller than 1 or than the sum of the minima, %d", in.Length, len(drawn))
	}
	if all.Len() == 0 {
		return "", fmt.Errorf("every class of characters is turned off")
	}
	for len(drawn) < in.Length {
		char, err := one(all.String())
		if err != nil {
			return "", err
		}
		drawn = append(drawn, char)
	}
	for i := len(drawn) - 1; i > 0; i-- {
		j, err := below(i + 1)
		if err != nil {
			return "", err
		}
		drawn[i], drawn[j] = drawn[j], drawn[i]
	}
	return string(drawn), nil
}

func on(flag *bool) bool { return flag == nil || *flag }

func count(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func one(chars string) (byte, error) {
	index, err := below(len(chars))
	if err != nil {
		return 0, err
	}
	return chars[index], nil
}

func below(n int) (int, error) {
	drawn, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		return 0, err
	}
	return int(drawn.Int64()), nil
}

// Provider is the whole provider.
func Provider() (p.Provider, error) {
	return infer.NewProviderBuilder().WithResources(infer.Resource(&RandomString{})).Build()
}
