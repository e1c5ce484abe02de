package random

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"
	"golang.org/x/crypto/bcrypt"
)

// RandomString is a string that may be seen.
type RandomString struct{}

// RandomStringState adds what was drawn; the id is the same string.
type RandomStringState struct {
	Drawn
	Result string `pulumi:"result"`
}

// Annotate sets the token under which the npm SDK knows the resource.
func (r *RandomString) Annotate(a infer.Annotator) { a.SetToken("index/randomString", "RandomString") }

// Check refuses what no string can fulfil.
func (*RandomString) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[Characters], error) {
	return checkCharacters(ctx, req)
}

// Create draws the string.
func (*RandomString) Create(_ context.Context, req infer.CreateRequest[Characters]) (
	infer.CreateResponse[RandomStringState], error,
) {
	state := RandomStringState{Drawn: req.Inputs.settle()}
	if req.DryRun {
		return infer.CreateResponse[RandomStringState]{Output: state}, nil
	}
	result, err := state.draw()
	state.Result = result
	return infer.CreateResponse[RandomStringState]{ID: result, Output: state}, err
}

// RandomPassword is a string that is kept secret.
type RandomPassword struct{}

// RandomPasswordState adds what was drawn; the id says nothing.
type RandomPasswordState struct {
	Drawn
	Result     string `pulumi:"result" provider:"secret"`
	BcryptHash string `pulumi:"bcryptHash" provider:"secret"`
}

// Annotate sets the token under which the npm SDK knows the resource.
func (r *RandomPassword) Annotate(a infer.Annotator) {
	a.SetToken("index/randomPassword", "RandomPassword")
}

// Check refuses what no password can fulfil.
func (*RandomPassword) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[Characters], error) {
	return checkCharacters(ctx, req)
}

// WireDependencies makes what was drawn a secret.
func (*RandomPassword) WireDependencies(f infer.FieldSelector, _ *Characters, state *RandomPasswordState) {
	f.OutputField(&state.Result).AlwaysSecret()
	f.OutputField(&state.BcryptHash).AlwaysSecret()
}

// Create draws the password.
func (*RandomPassword) Create(_ context.Context, req infer.CreateRequest[Characters]) (
	infer.CreateResponse[RandomPasswordState], error,
) {
	state := RandomPasswordState{Drawn: req.Inputs.settle()}
	if req.DryRun {
		return infer.CreateResponse[RandomPasswordState]{Output: state}, nil
	}
	result, err := state.draw()
	if err != nil {
		return infer.CreateResponse[RandomPasswordState]{}, err
	}
	// bcrypt takes no more than 72 bytes.
	hash, err := bcrypt.GenerateFromPassword([]byte(result[:min(len(result), 72)]), bcrypt.DefaultCost)
	state.Result, state.BcryptHash = result, string(hash)
	return infer.CreateResponse[RandomPasswordState]{ID: "none", Output: state}, err
}

func checkCharacters(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[Characters], error) {
	inputs, failures, err := infer.DefaultCheck[Characters](ctx, req.NewInputs)
	if err != nil {
		return infer.CheckResponse[Characters]{}, err
	}
	if len(failures) == 0 && !req.NewInputs.Get("length").HasComputed() {
		failures = inputs.settle().check()
	}
	return infer.CheckResponse[Characters]{Inputs: inputs, Failures: failures}, nil
}
