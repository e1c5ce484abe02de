package trace

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/joblog"
)

// gitlab is the other side: it keeps a log as GitLab does.
type gitlab struct {
	mu      sync.Mutex
	log     []byte
	updates []api.Update
	patches int
	// answers to updates in turn, then accepted; and a wish that comes with every answer.
	answers []api.UpdateResult
	patch   func(start int) (api.PatchResult, int, bool)
	wishes  api.Wishes
}

func (g *gitlab) UpdateJob(_ context.Context, _ *api.Server, _ api.Info, _ api.JobRef, update api.Update) (api.UpdateResult, api.Wishes) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.updates = append(g.updates, update)
	result := api.UpdateAccepted
	if len(g.answers) > 0 {
		result, g.answers = g.answers[0], g.answers[1:]
	}
	if result == api.UpdateRefusesTrace {
		g.log = nil
	}
	return result, g.wishes
}

func (g *gitlab) PatchTrace(_ context.Context, _ *api.Server, _ api.JobRef, content []byte, start int, _ bool) (api.PatchResult, int, api.Wishes) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.patches++
	if g.patch != nil {
		if result, offset, handled := g.patch(start); handled {
			return result, offset, g.wishes
		}
	}
	if start != len(g.log) {
		return api.PatchElsewhere, len(g.log), g.wishes
	}
	g.log = append(g.log, content...)
	return api.PatchAccepted, start + len(content), g.wishes
}

func start(g *gitlab, options Options) (*Sender, *joblog.Buffer) {
	buffer := joblog.NewBuffer(10 << 20)
	options.Client = g
	options.FinalUpdates = 10
	sender := New(buffer, options)
	sender.Start()
	g.mu.Lock()
	return sender, buffer
}

// rest lets time pass, and what is then due happen. Afterwards the test may look at g.
func (g *gitlab) rest(length time.Duration) {
	g.mu.Unlock()
	time.Sleep(length)
	synctest.Wait()
	g.mu.Lock()
}

// finish ends a job as the build does.
func (g *gitlab) finish(sender *Sender, update api.Update) api.UpdateResult {
	g.mu.Unlock()
	defer g.mu.Lock()
	return sender.Finish(update)
}

func put(b *joblog.Buffer, text string) { _, _ = b.Write([]byte(text)) }

func TestSendsWhatIsNewAndDescribesTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gitlab{}
		sender, buffer := start(g, Options{})
		put(buffer, "one\n")
		g.rest(4 * time.Second)
		require.Equal(t, "one\n", string(g.log))
		put(buffer, "two\n")
		require.Equal(t, api.UpdateAccepted, g.finish(sender, api.Update{State: api.Success}))
		require.Equal(t, "one\ntwo\n", string(g.log))
		require.Equal(t, []api.Update{{
			State: api.Success, Output: api.Output{Checksum: buffer.Checksum(), Bytesize: 8},
		}}, g.updates)
	})
}

func TestLargeLogsGoInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gitlab{}
		sender, buffer := start(g, Options{})
		put(buffer, string(make([]byte, 3*largestPatch+1)))
		g.finish(sender, api.Update{State: api.Success})
		require.Equal(t, 4, g.patches)
		require.Len(t, g.log, 3*largestPatch+1)
	})
}

func TestGoesBackToWhatGitLabHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gitlab{}
		sender, buffer := start(g, Options{})
		put(buffer, "abcdef")
		g.rest(4 * time.Second)
		g.log = g.log[:2]
		put(buffer, "ghi")
		g.finish(sender, api.Update{State: api.Success})
		require.Equal(t, "abcdefghi", string(g.log))
	})
}

func TestSendsAllAnewWhenTheLogIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gitlab{answers: []api.UpdateResult{api.UpdateRefusesTrace, api.UpdatePending, api.UpdateFailed}}
		sender, buffer := start(g, Options{})
		put(buffer, "abc")
		require.Equal(t, api.UpdateAccepted, g.finish(sender, api.Update{State: api.Failed, ExitCode: 3}))
		require.Len(t, g.updates, 4)
		require.Equal(t, 3, g.updates[3].ExitCode)
		require.Equal(t, "abc", string(g.log))
	})
}

func TestGivesUpWhenGitLabNeverTakesTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make([]api.UpdateResult, 50)
		for index := range answers {
			answers[index] = api.UpdateFailed
		}
		g := &gitlab{answers: answers}
		sender, _ := start(g, Options{})
		require.Equal(t, api.UpdateFailed, g.finish(sender, api.Update{State: api.Success}))
		require.Len(t, g.updates, 10)
	})
}

func TestTellsThatAQuietJobLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gitlab{}
		sender, _ := start(g, Options{})
		g.rest(29 * time.Second)
		require.Empty(t, g.updates)
		g.rest(5 * time.Second)
		require.Len(t, g.updates, 1)
		require.Equal(t, api.Running, g.updates[0].State)
		g.finish(sender, api.Update{State: api.Success})
	})
}

func TestHeedsTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gitlab{wishes: api.Wishes{Interval: time.Minute}}
		sender, buffer := start(g, Options{})
		put(buffer, "a")
		g.rest(4 * time.Second)
		put(buffer, "b")
		g.rest(30 * time.Second)
		require.Equal(t, 1, g.patches)
		g.rest(40 * time.Second)
		require.Equal(t, 2, g.patches)
		g.finish(sender, api.Update{State: api.Success})
	})
}

func TestAbortsOnceWhenTheJobIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var aborts atomic.Int32
		g := &gitlab{patch: func(start int) (api.PatchResult, int, bool) { return api.PatchAborts, start, true }}
		sender, buffer := start(g, Options{Abort: func() { aborts.Add(1) }})
		put(buffer, "a")
		g.rest(10 * time.Second)
		require.Equal(t, api.UpdateAborts, g.finish(sender, api.Update{State: api.Failed}))
		require.EqualValues(t, 1, aborts.Load())
		require.Empty(t, g.updates, "the end of a job that is not ours is not reported")
	})
}

func TestCancelsTheScriptOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cancels, aborts atomic.Int32
		g := &gitlab{wishes: api.Wishes{CancelGracefully: true}}
		sender, buffer := start(g, Options{
			Cancel: func() { cancels.Add(1) }, Abort: func() { aborts.Add(1) },
		})
		for range 3 {
			put(buffer, "a")
			g.rest(4 * time.Second)
		}
		require.Equal(t, api.UpdateAccepted, g.finish(sender, api.Update{State: api.Failed}))
		require.EqualValues(t, 1, cancels.Load())
		require.Zero(t, aborts.Load())
	})
}
