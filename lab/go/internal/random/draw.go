package random

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
)

const (
	lowerCase      = "abcdefghijklmnopqrstuvwxyz"
	upperCase      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits         = "0123456789"
	defaultSpecial = "!@#$%&*()-_=+[]{}<>:?"
)

// Characters says how a string or a password is drawn.
type Characters struct {
	Keepers         map[string]string `pulumi:"keepers,optional"`
	Length          int               `pulumi:"length"`
	Lower           *bool             `pulumi:"lower,optional"`
	MinLower        *int              `pulumi:"minLower,optional"`
	MinNumeric      *int              `pulumi:"minNumeric,optional"`
	MinSpecial      *int              `pulumi:"minSpecial,optional"`
	MinUpper        *int              `pulumi:"minUpper,optional"`
	Number          *bool             `pulumi:"number,optional"`
	Numeric         *bool             `pulumi:"numeric,optional"`
	OverrideSpecial *string           `pulumi:"overrideSpecial,optional"`
	Special         *bool             `pulumi:"special,optional"`
	Upper           *bool             `pulumi:"upper,optional"`
}

// Drawn is how a string or a password was drawn: what the program did not say has its default.
type Drawn struct {
	Keepers         map[string]string `pulumi:"keepers,optional"`
	Length          int               `pulumi:"length"`
	Lower           bool              `pulumi:"lower"`
	MinLower        int               `pulumi:"minLower"`
	MinNumeric      int               `pulumi:"minNumeric"`
	MinSpecial      int               `pulumi:"minSpecial"`
	MinUpper        int               `pulumi:"minUpper"`
	Number          bool              `pulumi:"number"`
	Numeric         bool              `pulumi:"numeric"`
	OverrideSpecial *string           `pulumi:"overrideSpecial,optional"`
	Special         bool              `pulumi:"special"`
	Upper           bool              `pulumi:"upper"`
}

func or[T any](value *T, none T) T {
	if value == nil {
		return none
	}
	return *value
}

// settle fills in the defaults. `number` is the old name of `numeric`: each follows the other.
func (c Characters) settle() Drawn {
	numeric := or(c.Numeric, or(c.Number, true))
	return Drawn{
		Keepers:         c.Keepers,
		Length:          c.Length,
		Lower:           or(c.Lower, true),
		MinLower:        or(c.MinLower, 0),
		MinNumeric:      or(c.MinNumeric, 0),
		MinSpecial:      or(c.MinSpecial, 0),
		MinUpper:        or(c.MinUpper, 0),
		Number:          numeric,
		Numeric:         numeric,
		OverrideSpecial: c.OverrideSpecial,
		Special:         or(c.Special, true),
		Upper:           or(c.Upper, true),
	}
}

// check refuses what no string can fulfil.
func (d Drawn) check() []p.CheckFailure {
	least := d.MinUpper + d.MinLower + d.MinNumeric + d.MinSpecial
	switch {
	case d.Length < 1:
		return []p.CheckFailure{{
			Property: "length",
			Reason:   fmt.Sprintf("Attribute length value must be at least 1, got: %d", d.Length),
		}}
	case d.Length < least:
		return []p.CheckFailure{{
			Property: "length",
			Reason: fmt.Sprintf("Attribute length value must be at least sum of "+
				"min_upper + min_lower + min_numeric + min_special, got: %d", d.Length),
		}}
	case !d.Lower && !d.Upper && !d.Numeric && !d.Special:
		return []p.CheckFailure{{
			Property: "special",
			Reason:   "At least one attribute out of [special,upper,lower,numeric] must be true",
		}}
	}
	return nil
}

// draw makes a string that fulfils the settings.
func (d Drawn) draw() (string, error) {
	special := or(d.OverrideSpecial, "")
	if special == "" {
		special = defaultSpecial
	}
	classes := []struct {
		on    bool
		least int
		chars string
	}{
		{d.Lower, d.MinLower, lowerCase},
		{d.Upper, d.MinUpper, upperCase},
		{d.Numeric, d.MinNumeric, digits},
		{d.Special, d.MinSpecial, special},
	}
	var all strings.Builder
	var drawn []byte
	for _, class := range classes {
		if class.on {
			all.WriteString(class.chars)
		}
		chosen, err := choose(class.chars, class.least)
		if err != nil {
			return "", err
		}
		drawn = append(drawn, chosen...)
	}
	rest, err := choose(all.String(), d.Length-len(drawn))
	if err != nil {
		return "", err
	}
	drawn = append(drawn, rest...)
	if err := shuffle(drawn); err != nil {
		return "", err
	}
	return string(drawn), nil
}

// choose draws characters, each as likely as any other.
func choose(chars string, count int) ([]byte, error) {
	chosen := make([]byte, count)
	for i := range chosen {
		index, err := below(len(chars))
		if err != nil {
			return nil, err
		}
		chosen[i] = chars[index]
	}
	return chosen, nil
}

func shuffle(chars []byte) error {
	for i := len(chars) - 1; i > 0; i-- {
		j, err := below(i + 1)
		if err != nil {
			return err
		}
		chars[i], chars[j] = chars[j], chars[i]
	}
	return nil
}

func below(n int) (int, error) {
	drawn, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		return 0, err
	}
	return int(drawn.Int64()), nil
}
