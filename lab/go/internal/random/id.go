package random

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"math/big"

	"github.com/google/uuid"
	"github.com/pulumi/pulumi-go-provider/infer"
)

// RandomId is a number of random bytes in several spellings.
type RandomId struct{}

// RandomIdInputs says how many bytes, and what stands before them.
type RandomIdInputs struct {
	ByteLength int               `pulumi:"byteLength"`
	Keepers    map[string]string `pulumi:"keepers,optional"`
	Prefix     *string           `pulumi:"prefix,optional"`
}

// RandomIdState adds the spellings; the id is the URL-safe one without the prefix.
type RandomIdState struct {
	RandomIdInputs
	B64Std string `pulumi:"b64Std"`
	B64Url string `pulumi:"b64Url"`
	Dec    string `pulumi:"dec"`
	Hex    string `pulumi:"hex"`
}

// Annotate sets the token under which the npm SDK knows the resource.
func (r *RandomId) Annotate(a infer.Annotator) { a.SetToken("index/randomId", "RandomId") }

// Create draws the bytes.
func (*RandomId) Create(_ context.Context, req infer.CreateRequest[RandomIdInputs]) (
	infer.CreateResponse[RandomIdState], error,
) {
	state := RandomIdState{RandomIdInputs: req.Inputs}
	if req.DryRun {
		return infer.CreateResponse[RandomIdState]{Output: state}, nil
	}
	drawn := make([]byte, state.ByteLength)
	if _, err := rand.Read(drawn); err != nil {
		return infer.CreateResponse[RandomIdState]{}, err
	}
	prefix := or(state.Prefix, "")
	id := base64.RawURLEncoding.EncodeToString(drawn)
	state.B64Url = prefix + id
	state.B64Std = prefix + base64.StdEncoding.EncodeToString(drawn)
	state.Hex = prefix + hex.EncodeToString(drawn)
	state.Dec = prefix + new(big.Int).SetBytes(drawn).String()
	return infer.CreateResponse[RandomIdState]{ID: id, Output: state}, nil
}

// RandomUuid is a UUID of version 4.
type RandomUuid struct{}

// RandomUuidInputs holds nothing but keepers.
type RandomUuidInputs struct {
	Keepers map[string]string `pulumi:"keepers,optional"`
}

// RandomUuidState adds what was drawn; the id is the same.
type RandomUuidState struct {
	RandomUuidInputs
	Result string `pulumi:"result"`
}

// Annotate sets the token under which the npm SDK knows the resource.
func (r *RandomUuid) Annotate(a infer.Annotator) { a.SetToken("index/randomUuid", "RandomUuid") }

// Create draws the UUID.
func (*RandomUuid) Create(_ context.Context, req infer.CreateRequest[RandomUuidInputs]) (
	infer.CreateResponse[RandomUuidState], error,
) {
	state := RandomUuidState{RandomUuidInputs: req.Inputs}
	if req.DryRun {
		return infer.CreateResponse[RandomUuidState]{Output: state}, nil
	}
	drawn, err := uuid.NewRandom()
	state.Result = drawn.String()
	return infer.CreateResponse[RandomUuidState]{ID: state.Result, Output: state}, err
}
