package config

import (
	"fmt"
	"slices"
	"time"
)

var shells = []string{"bash", "sh", "cmd", "pwsh", "powershell", ""}

// shortestIdle is the least idle_time of an autoscaler's policy.
const shortestIdle = time.Second

// violations are values of the right type that the runner's schema refuses.
func (c *Config) violations() []Problem {
	var problems []Problem
	for index, runner := range c.Runners {
		place := fmt.Sprintf("runners[%d]", index)
		add := func(key, text string) { problems = append(problems, Problem{join(place, key), text}) }
		if runner.URL == "" {
			add("url", "must not be empty")
		}
		if runner.Token == "" {
			add("token", "must not be empty")
		}
		if runner.RequestConcurrency < 0 {
			add("request_concurrency", "must be 1 or more")
		}
		if !slices.Contains(shells, runner.Shell) {
			add("shell", fmt.Sprintf("%q is not one of %q", runner.Shell, shells))
		}
		if runner.Autoscaler != nil {
			for at, policy := range runner.Autoscaler.Policy {
				if policy.IdleTime != 0 && policy.IdleTime < shortestIdle {
					add(fmt.Sprintf("autoscaler.policy[%d].idle_time", at), "must be 1s or more")
				}
			}
		}
	}
	return problems
}
