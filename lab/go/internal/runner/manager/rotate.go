package manager

import (
	"context"
	"fmt"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
)

// resetAfter is the share of a token's life after which it is traded for a new one.
const resetAfter = 0.75

// resetDue is when a runner's token is to be traded; ok is false for one without a known life.
func resetDue(runner *config.Runner) (due time.Time, ok bool) {
	if runner.TokenExpiresAt.IsZero() {
		return time.Time{}, false
	}
	life := runner.TokenExpiresAt.Sub(runner.TokenObtainedAt)
	return runner.TokenObtainedAt.Add(time.Duration(resetAfter * float64(life))), true
}

// rotate trades tokens that are due, and writes the file anew. Where that is disabled, it warns once.
func (m *Manager) rotate(now time.Time) {
	for _, runner := range m.config.Load().Runners {
		due, ok := resetDue(runner)
		if !ok || now.Before(due) || m.rotated[runner.Token] {
			continue
		}
		// Whatever comes of it: a token is tried once.
		m.rotated[runner.Token] = true
		log := m.log().With(logging.Fields{"runner": runner.ShortToken()})
		if build.Flag(runner.FeatureFlags, build.FlagDisableTokenRotation) {
			log.Warning(fmt.Sprintf("Automatic token rotation is disabled for runner: %s-%s. Your token is about to expire",
				runner.ShortToken(), m.systemID))
			continue
		}
		fresh, err := m.client.ResetToken(context.Background(), m.server(runner))
		if err != nil {
			log.WithError(err).Error("Resetting runner authentication token... failed")
			continue
		}
		log.Info("Resetting runner authentication token... succeeded")
		m.saveToken(runner.Token, map[string]any{
			"token": fresh.Token, "token_obtained_at": now.UTC(), "token_expires_at": fresh.TokenExpiresAt,
		})
	}
}

// saveToken puts a new token in an old one's place, in the file and in memory.
func (m *Manager) saveToken(old string, changes map[string]any) {
	err := config.Rewrite(m.ConfigFile, func(runners []map[string]any) []map[string]any {
		for _, runner := range runners {
			if runner["token"] == old {
				for key, value := range changes {
					runner[key] = value
				}
			}
		}
		return runners
	})
	if err != nil {
		m.metrics.ConfigSaveErrors.Inc()
		m.log().WithError(err).Error("Failed to save config")
		return
	}
	m.metrics.ConfigSaved.Inc()
	if err := m.load(); err != nil {
		m.log().Error("Failed to load config", err.Error())
	}
}
