using System.Globalization;
using System.Text.Json;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>Steps that go on as several strands: branches and items.</summary>
internal sealed class Strands(Flow flow, FlowBoard board, StepRunner runner, AgentCalls agents)
{
    public async Task<JsonElement?> ParallelAsync(ParallelStep step, StepContext context)
    {
        var outputs = new JsonElement?[step.Branches.Count];
        if (step.Join == JoinMode.First) return await FirstAsync(step, context);
        await AllAsync(step.Branches.Count, step.Branches.Count, context, async (i, own) =>
        {
            ParallelBranch branch = step.Branches[i];
            outputs[i] = await runner.BlockAsync(branch.Steps, own.Inside(branch.Id));
        });
        return step.Join switch
        {
            JoinMode.Majority => Majority(outputs),
            JoinMode.Merge => await agents.AskAsync(context.Of("merge"), context, step.Merge!.Agent, step.Merge.Message.Evaluate((await board.SeeAsync($"{context.Path}#merge", context)).With("results", ByBranch(step, outputs)).Scope(flow.Run, flow.Run.CreatedAt))),
            _ => ByBranch(step, outputs),
        };
    }

    public async Task<JsonElement?> MapAsync(MapStep step, StepContext context, StepRecord record)
    {
        JsonElement over = step.Over.Evaluate(context.Scope(flow.Run, record.StartedAt));
        if (over.ValueKind != JsonValueKind.Array) throw new StepException(StepCodes.InvalidInput, $"'over' gives {over.ValueKind.ToString().ToLowerInvariant()} and no list.", retryable: false);
        JsonElement[] items = [.. over.EnumerateArray()];
        if (items.Length > step.MaxItems) throw new StepException(StepCodes.InvalidInput, $"The list has {items.Length} items; the step takes {step.MaxItems}.", retryable: false);
        var outputs = new JsonElement?[items.Length];
        await AllAsync(items.Length, step.Concurrency, context, async (i, own) =>
        {
            StepContext item = own.Inside(i.ToString(CultureInfo.InvariantCulture)) with { Frame = new Frame(context.Frame) };
            outputs[i] = await runner.BlockAsync(step.Steps, item.With(step.As, items[i]).With("index", i));
        });
        JsonElement results = JsonSerializer.SerializeToElement(outputs);
        return step.Reduce is not { } reduce ? results
            : await agents.AskAsync(context.Of("reduce"), context, reduce.Agent, reduce.Message.Evaluate((await board.SeeAsync($"{context.Path}#reduce", context)).With("results", results).Scope(flow.Run, record.StartedAt)));
    }

    /// <summary>The first branch that succeeds; the others are cancelled. When none does, the failure of the last.</summary>
    private async Task<JsonElement?> FirstAsync(ParallelStep step, StepContext context)
    {
        using var won = CancellationTokenSource.CreateLinkedTokenSource(context.Token);
        JsonElement? winner = null;
        int winners = 0;
        StepFailedException? failure = null;
        await AllAsync(step.Branches.Count, step.Branches.Count, context with { Token = won.Token }, async (i, own) =>
        {
            ParallelBranch branch = step.Branches[i];
            try
            {
                JsonElement? output = await runner.BlockAsync(branch.Steps, own.Inside(branch.Id));
                if (Interlocked.Increment(ref winners) > 1) return;
                winner = output;
                won.Cancel();
            }
            catch (StepFailedException e)
            {
                failure = e;
            }
            catch (OperationCanceledException) when (Volatile.Read(ref winners) > 0 && !context.Token.IsCancellationRequested)
            {
                // Another one was first.
            }
        });
        return winners > 0 ? winner : throw failure!;
    }

    /// <summary>
    /// Does work for each index, so many at a time. When one fails the others are cancelled, and all have ended when this returns: nothing goes on behind the
    /// back of what follows.
    /// </summary>
    private async Task AllAsync(int count, int concurrency, StepContext context, Func<int, StepContext, Task> work)
    {
        if (count == 0) return;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.Token);
        StepContext own = context with { Token = stop.Token };
        int strands = Math.Min(count, concurrency), next = -1, left = strands;
        Exception? failure = null;
        flow.Waits.Fork(strands);
        await Task.WhenAll(Enumerable.Range(0, strands).Select(_ => Task.Run(StrandAsync)));
        if (failure is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);

        async Task StrandAsync()
        {
            try
            {
                while (Interlocked.Increment(ref next) is var i && i < count && Volatile.Read(ref failure) is null) await work(i, own);
            }
            catch (Exception e)
            {
                // What is thrown because the others are stopped says nothing; neither does a rest beside a failure.
                if (Volatile.Read(ref failure) is null or ParkedException or OperationCanceledException or LogEndsException && e is not (ParkedException or OperationCanceledException or LogEndsException)) Volatile.Write(ref failure, e);
                else Interlocked.CompareExchange(ref failure, e, null);
                // Where only the log is gone through, every strand goes as far as it got.
                if (!context.LogOnly && e is not ParkedException) stop.Cancel();
            }
            finally
            {
                // The last one goes on as the strand that forked.
                if (Interlocked.Decrement(ref left) > 0) flow.Waits.End();
            }
        }
    }

    private static JsonElement ByBranch(ParallelStep step, JsonElement?[] outputs) =>
        JsonSerializer.SerializeToElement(step.Branches.Select((b, i) => (b.Id, Output: outputs[i])).ToDictionary(b => b.Id, b => b.Output));

    private static JsonElement? Majority(JsonElement?[] outputs)
    {
        foreach (JsonElement? output in outputs)
            if (outputs.Count(o => Same(o, output)) * 2 > outputs.Length) return output;
        throw new StepException(StepCodes.NoMajority, $"No output is that of more than half of the {outputs.Length} branches.");
    }

    private static bool Same(JsonElement? a, JsonElement? b) => a is { } x && b is { } y ? JsonElement.DeepEquals(x, y) : a is null && b is null;
}
