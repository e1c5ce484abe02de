package random

import (
	"context"
	"strings"

	petname "github.com/dustinkirkland/golang-petname"
	"github.com/pulumi/pulumi-go-provider/infer"
)

const (
	defaultPetLength    = 2
	defaultPetSeparator = "-"
)

// RandomPet is a name that can be remembered.
type RandomPet struct{}

// RandomPetInputs says how many words, and what stands before and between them.
type RandomPetInputs struct {
	Keepers   map[string]string `pulumi:"keepers,optional"`
	Length    *int              `pulumi:"length,optional"`
	Prefix    *string           `pulumi:"prefix,optional"`
	Separator *string           `pulumi:"separator,optional"`
}

// RandomPetState is how the name was drawn; the name itself is the id.
type RandomPetState struct {
	Keepers   map[string]string `pulumi:"keepers,optional"`
	Length    int               `pulumi:"length"`
	Prefix    *string           `pulumi:"prefix,optional"`
	Separator string            `pulumi:"separator"`
}

// Annotate sets the token under which the npm SDK knows the resource.
func (r *RandomPet) Annotate(a infer.Annotator) { a.SetToken("index/randomPet", "RandomPet") }

// Create draws the name.
func (*RandomPet) Create(_ context.Context, req infer.CreateRequest[RandomPetInputs]) (
	infer.CreateResponse[RandomPetState], error,
) {
	in := req.Inputs
	state := RandomPetState{
		Keepers:   in.Keepers,
		Length:    or(in.Length, defaultPetLength),
		Prefix:    in.Prefix,
		Separator: or(in.Separator, defaultPetSeparator),
	}
	if req.DryRun {
		return infer.CreateResponse[RandomPetState]{Output: state}, nil
	}
	words := petname.Generate(state.Length, state.Separator)
	if prefix := or(state.Prefix, ""); prefix != "" {
		words = strings.Join([]string{prefix, words}, state.Separator)
	}
	return infer.CreateResponse[RandomPetState]{ID: strings.ToLower(words), Output: state}, nil
}
