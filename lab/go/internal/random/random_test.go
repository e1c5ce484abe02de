package random_test

import (
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"golang.org/x/crypto/bcrypt"

	"gitlab-runner-proxmox/lab/internal/plugintest"
	"gitlab-runner-proxmox/lab/internal/random"
)

const (
	stringType   = "random:index/randomString:RandomString"
	passwordType = "random:index/randomPassword:RandomPassword"
	integerType  = "random:index/randomInteger:RandomInteger"
	idType       = "random:index/randomId:RandomId"
	uuidType     = "random:index/randomUuid:RandomUuid"
	petType      = "random:index/randomPet:RandomPet"
)

func start(t *testing.T) *plugintest.Engine {
	return plugintest.Start(t, random.Name, random.Version, random.Provider)
}

func count(text, chars string) int {
	n := 0
	for _, char := range text {
		if strings.ContainsRune(chars, char) {
			n++
		}
	}
	return n
}

func TestStringsFulfilTheirSettings(t *testing.T) {
	engine := start(t)
	for _, test := range []struct {
		name   string
		inputs map[string]any
		want   *regexp.Regexp
	}{
		{"all classes", map[string]any{"length": 64}, regexp.MustCompile(`^[a-zA-Z0-9!@#$%&*()_=+\[\]{}<>:?-]{64}$`)},
		{"lower and digits", map[string]any{"length": 4, "special": false, "upper": false}, regexp.MustCompile(`^[a-z0-9]{4}$`)},
		{"no digits by the old name", map[string]any{"length": 40, "special": false, "number": false}, regexp.MustCompile(`^[a-zA-Z]{40}$`)},
		{"no digits by the new name", map[string]any{"length": 40, "special": false, "numeric": false}, regexp.MustCompile(`^[a-zA-Z]{40}$`)},
		{"own special characters", map[string]any{
			"length": 20, "overrideSpecial": "_", "lower": false, "upper": false, "numeric": false,
		}, regexp.MustCompile(`^_{20}$`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			made := engine.Up(stringType, plugintest.Map(test.inputs))
			result := made.State.Get("result").AsString()
			if !test.want.MatchString(result) || made.ID != result {
				t.Errorf("drew %q as %q, want %s", result, made.ID, test.want)
			}
		})
	}
}

func TestStringsHoldTheMinima(t *testing.T) {
	engine := start(t)
	inputs := plugintest.Map(map[string]any{
		"length": 10, "minLower": 2, "minUpper": 3, "minNumeric": 1, "minSpecial": 4,
	})
	for range 20 {
		result := engine.Up(stringType, inputs).State.Get("result").AsString()
		for chars, want := range map[string]int{
			"abcdefghijklmnopqrstuvwxyz": 2, "ABCDEFGHIJKLMNOPQRSTUVWXYZ": 3, "0123456789": 1, "!@#$%&*()-_=+[]{}<>:?": 4,
		} {
			if got := count(result, chars); got != want {
				t.Fatalf("%q has %d of %s, want %d", result, got, chars, want)
			}
		}
	}
}

func TestDefaultsShowInTheOutputsAndNotInTheInputs(t *testing.T) {
	made := start(t).Up(stringType, plugintest.Map(map[string]any{"length": 3}))
	if made.Inputs.Len() != 1 {
		t.Errorf("inputs: %v", made.Inputs)
	}
	for _, name := range []string{"lower", "upper", "special", "number", "numeric"} {
		if !made.State.Get(name).AsBool() {
			t.Errorf("%s is not true", name)
		}
	}
}

func TestWhatNoStringCanFulfilIsRefused(t *testing.T) {
	engine := start(t)
	for _, test := range []struct {
		inputs   map[string]any
		property string
	}{
		{map[string]any{"length": 0}, "length"},
		{map[string]any{"length": 3, "minLower": 2, "minUpper": 2}, "length"},
		{map[string]any{"length": 3, "lower": false, "upper": false, "special": false, "numeric": false}, "special"},
	} {
		for _, token := range []string{stringType, passwordType} {
			failures := engine.Refused(token, plugintest.Map(test.inputs))
			if len(failures) != 1 || failures[0].Property != test.property {
				t.Errorf("%v: %+v, want one about %s", test.inputs, failures, test.property)
			}
		}
	}
	if failures := engine.Refused(integerType, plugintest.Map(map[string]any{"min": 2, "max": 1})); len(failures) != 1 {
		t.Errorf("an empty range: %+v", failures)
	}
}

func TestEveryChangeDrawsANewValue(t *testing.T) {
	engine := start(t)
	keepers := func(value string) map[string]any { return map[string]any{"machine": value} }
	for token, inputs := range map[string]map[string]any{
		stringType:   {"length": 8},
		passwordType: {"length": 8},
		integerType:  {"min": 1, "max": 9},
		idType:       {"byteLength": 4},
		uuidType:     {},
		petType:      {},
	} {
		inputs["keepers"] = keepers("one")
		made := engine.Up(token, plugintest.Map(inputs))
		if diff := made.DiffTo(plugintest.Map(inputs)); diff.HasChanges {
			t.Errorf("%s: the same inputs differ: %+v", token, diff)
		}
		inputs["keepers"] = keepers("two")
		if diff := made.DiffTo(plugintest.Map(inputs)); !diff.HasChanges || !plugintest.Replaces(diff) {
			t.Errorf("%s: other keepers do not replace: %+v", token, diff)
		}
	}
}

func TestAPreviewDrawsNothing(t *testing.T) {
	engine := start(t)
	for token, inputs := range map[string]map[string]any{
		stringType:   {"length": 8},
		passwordType: {"length": 8},
		integerType:  {"min": 1, "max": 9},
		uuidType:     {},
	} {
		if result := engine.PreviewCreate(token, plugintest.Map(inputs)).Get("result"); !result.HasComputed() {
			t.Errorf("%s: a preview knows %v", token, result)
		}
	}
}

func TestAPasswordIsSecret(t *testing.T) {
	made := start(t).Up(passwordType, plugintest.Map(map[string]any{"length": 12}))
	result, hash := made.State.Get("result"), made.State.Get("bcryptHash")
	if !result.Secret() || !hash.Secret() {
		t.Errorf("not secret: %v, %v", result.Secret(), hash.Secret())
	}
	if err := bcrypt.CompareHashAndPassword([]byte(hash.AsString()), []byte(result.AsString())); err != nil {
		t.Error(err)
	}
	if made.ID != "none" {
		t.Errorf("the id tells %q", made.ID)
	}
}

func TestAnIdIsTheSameBytesInEverySpelling(t *testing.T) {
	made := start(t).Up(idType, plugintest.Map(map[string]any{"byteLength": 6, "prefix": "p-"}))
	drawn, err := base64.RawURLEncoding.DecodeString(made.ID)
	if err != nil || len(drawn) != 6 {
		t.Fatalf("%q: %v", made.ID, err)
	}
	for name, want := range map[string]string{
		"b64Url": made.ID,
		"b64Std": base64.StdEncoding.EncodeToString(drawn),
		"hex":    hex.EncodeToString(drawn),
		"dec":    new(big.Int).SetBytes(drawn).String(),
	} {
		if got := made.State.Get(name).AsString(); got != "p-"+want {
			t.Errorf("%s is %q, want %q", name, got, "p-"+want)
		}
	}
}

func TestAnIntegerLiesInItsRangeAndFollowsItsSeed(t *testing.T) {
	engine := start(t)
	seen := map[string]bool{}
	for range 60 {
		seen[engine.Up(integerType, plugintest.Map(map[string]any{"min": 5, "max": 7})).ID] = true
	}
	if len(seen) != 3 || !seen["5"] || !seen["6"] || !seen["7"] {
		t.Errorf("drew %v, want 5, 6 and 7", seen)
	}
	seeded := plugintest.Map(map[string]any{"min": 0, "max": 1 << 30, "seed": "a seed"})
	if first, second := engine.Up(integerType, seeded).ID, engine.Up(integerType, seeded).ID; first != second {
		t.Errorf("one seed, two numbers: %s and %s", first, second)
	}
}

func TestPetsAndUuids(t *testing.T) {
	engine := start(t)
	if pet := engine.Up(petType, property.Map{}); !regexp.MustCompile(`^[a-z]+-[a-z]+$`).MatchString(pet.ID) {
		t.Errorf("pet %q", pet.ID)
	}
	long := engine.Up(petType, plugintest.Map(map[string]any{"length": 3, "separator": "_", "prefix": "ci"}))
	if !regexp.MustCompile(`^ci_[a-z]+_[a-z]+_[a-z]+$`).MatchString(long.ID) {
		t.Errorf("pet %q", long.ID)
	}
	uuid := engine.Up(uuidType, property.Map{})
	if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(uuid.State.Get("result").AsString()) {
		t.Errorf("uuid %v", uuid.State)
	}
}

func TestTheSchemaIsThePublishedOne(t *testing.T) {
	start(t).EqualsPublished("random-4.21.json", plugintest.Parts{Resources: []string{
		stringType, passwordType, integerType, idType, uuidType, petType,
	}})
}
