package random

import (
	"context"
	"fmt"
	"hash/crc64"
	"math/rand"
	"strconv"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
)

// RandomInteger is a number between two others, both of them possible.
type RandomInteger struct{}

// RandomIntegerInputs says between which numbers. With a seed the same number is drawn each time.
type RandomIntegerInputs struct {
	Keepers map[string]string `pulumi:"keepers,optional"`
	Max     int               `pulumi:"max"`
	Min     int               `pulumi:"min"`
	Seed    *string           `pulumi:"seed,optional"`
}

// RandomIntegerState adds what was drawn; the id is the same number.
type RandomIntegerState struct {
	RandomIntegerInputs
	Result int `pulumi:"result"`
}

// Annotate sets the token under which the npm SDK knows the resource.
func (r *RandomInteger) Annotate(a infer.Annotator) {
	a.SetToken("index/randomInteger", "RandomInteger")
}

// Check refuses a range that holds no number.
func (*RandomInteger) Check(ctx context.Context, req infer.CheckRequest) (
	infer.CheckResponse[RandomIntegerInputs], error,
) {
	inputs, failures, err := infer.DefaultCheck[RandomIntegerInputs](ctx, req.NewInputs)
	if err != nil {
		return infer.CheckResponse[RandomIntegerInputs]{}, err
	}
	known := !req.NewInputs.Get("min").HasComputed() && !req.NewInputs.Get("max").HasComputed()
	if len(failures) == 0 && known && inputs.Max < inputs.Min {
		failures = append(failures, p.CheckFailure{
			Property: "max",
			Reason: fmt.Sprintf("The minimum (min) value needs to be smaller than or equal to maximum (max) value, "+
				"got: %d and %d", inputs.Min, inputs.Max),
		})
	}
	return infer.CheckResponse[RandomIntegerInputs]{Inputs: inputs, Failures: failures}, nil
}

// Create draws the number.
func (*RandomInteger) Create(_ context.Context, req infer.CreateRequest[RandomIntegerInputs]) (
	infer.CreateResponse[RandomIntegerState], error,
) {
	state := RandomIntegerState{RandomIntegerInputs: req.Inputs}
	if req.DryRun {
		return infer.CreateResponse[RandomIntegerState]{Output: state}, nil
	}
	span := state.Max - state.Min + 1
	if seed := or(state.Seed, ""); seed != "" {
		// The published provider's way from a seed to a number, so that both draw the same.
		source := crc64.Checksum([]byte(seed), crc64.MakeTable(crc64.ISO))
		state.Result = state.Min + rand.New(rand.NewSource(int64(source))).Intn(span)
	} else {
		drawn, err := below(span)
		if err != nil {
			return infer.CreateResponse[RandomIntegerState]{}, err
		}
		state.Result = state.Min + drawn
	}
	return infer.CreateResponse[RandomIntegerState]{ID: strconv.Itoa(state.Result), Output: state}, nil
}
