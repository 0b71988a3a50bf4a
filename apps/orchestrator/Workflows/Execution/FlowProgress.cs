using System.Text.Json;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows.Steps;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>Stops loops, group chats and handoffs that go round without getting anywhere. What they are judged by is in the log, so that a resumed run judges the same.</summary>
internal sealed class FlowProgress(Flow flow, FlowBoard board, RunMetrics metrics)
{
    public ProgressGuard Rounds() => new(flow.Options.MaxIdenticalRounds);

    public ProgressGuard Handoffs() => new(flow.Options.MaxIdenticalHandoffs);

    /// <summary>
    /// Whether a loop is one that has to get somewhere by itself. One that waits has time, people or events for its progress, and one whose condition counts its
    /// iterations is meant to do the same so often.
    /// </summary>
    public static bool Guards(LoopStep loop) => !Waits(loop) && !(loop.While ?? loop.Until)!.Source.Contains("iteration", StringComparison.Ordinal);

    /// <summary>Judges a loop after an iteration: what its agents and tools were asked and have answered, the outputs of its steps, and the blackboard.</summary>
    /// <exception cref="StepException">It gets nowhere.</exception>
    public async Task CheckAsync(ProgressGuard guard, StepContext context, StepContext iteration)
    {
        if (guard.Limit == 0 || flow.State.StateBelow(iteration.Path) is not { } state) return;
        StepContext seen = await board.SeeAsync($"{iteration.Path}#state", iteration);
        Check(guard, "loop", context, state, seen.Locals.TryGetValue(ScopeNames.Blackboard, out JsonElement value) ? value.GetRawText() : null);
    }

    /// <param name="guard">Of the step.</param>
    /// <param name="kind"><c>loop</c>, <c>group_chat</c> or <c>handoff</c>.</param>
    /// <param name="context">Inside of the step.</param>
    /// <param name="state">What has come of the round or turn.</param>
    /// <exception cref="StepException">It gets nowhere.</exception>
    public void Check(ProgressGuard guard, string kind, StepContext context, params ReadOnlySpan<string?> state)
    {
        if (guard.Note(state) is not { } turn || context.LogOnly) return;
        flow.Journal.Add(RunEventTypes.NoProgress, context.Path, (kind, turn, guard.Limit), static (json, s) =>
        {
            json.WriteString("kind"u8, s.kind);
            json.WriteNumber("states"u8, s.turn);
            json.WriteNumber("times"u8, s.Limit);
        });
        metrics.NoProgress(kind);
        throw new StepException(StepCodes.NoProgress, turn == 1 ? $"The same came {guard.Limit} times in a row: nothing changes any more." : $"The same {turn} states came in turn {guard.Limit} times: nothing changes any more.", retryable: false);
    }

    private static bool Waits(Step step) => step is WaitStep or HumanStep || step.Blocks.Any(b => b.Steps.Any(Waits));
}
