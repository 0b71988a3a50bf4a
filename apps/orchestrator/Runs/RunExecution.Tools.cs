using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Guardrails;
using MultiAgent.Orchestrator.Runs.Approvals;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Orchestrator.Runs;

/// <content>The calls of tools: made, approved, rested for, remembered.</content>
internal sealed partial class RunExecution
{
    /// <summary>Brings tool calls that a crash interrupted to their results. True when the run has ended with them.</summary>
    private async Task<bool> ResumeAsync()
    {
        if (state.CallingMessage is not { } calling) return false;
        await FlushAsync();
        OpenCall[] open = [.. state.Open];
        foreach (OpenCall unsure in open.Where(o => o.Effect == "unsafe"))
            Took(unsure.Call, new CallResult("The outcome of this call is unknown: the platform restarted while it was being made. It was not repeated. Check before calling again.", true), $"tool:{unsure.Call.Name}");
        // What a person has agreed to was recorded as intended only then: so it is not asked for again.
        await ExecuteAsync([.. open.Where(o => o.Effect != "unsafe").Select(o => tools.Plan(_agent, o.Call, o.IdempotencyKey))]);
        state.Open.Clear();
        if (await DecideAsync()) return true;
        Remember(calling, state.Results);
        state.CallingMessage = null;
        return await ContinueAsync(state.ClientCalls, "", null);
    }

    /// <summary>Makes the calls that need nobody's consent. True when others do, so that the run rests.</summary>
    private async Task<bool> CallToolsAsync(ChatMessage calling, List<ToolCall> calls)
    {
        var planned = new List<PlannedCall>(calls.Count);
        List<RunWait>? waits = null;
        log.ToolStep(state.Steps);
        for (int i = 0; i < calls.Count; i++)
        {
            PlannedCall plan = tools.Plan(_agent, calls[i], $"{_run.Id}:{state.Steps}:{i}");
            if (plan is { Error: null, Tool.Approval: { } rule } && rule.Asks(plan.Arguments))
            {
                (PendingCall pending, RunWait wait) = PendingCall.Ask(_run, plan, rule, services.Time.GetUtcNow());
                log.ApprovalRequested(pending, rule.Role);
                state.Pending.Add(pending);
                (waits ??= []).Add(wait);
                continue;
            }
            log.ToolCallIntended(plan.Call, plan.IdempotencyKey, plan.Effect);
            planned.Add(plan);
        }
        await FlushAsync(waits ?? []);
        await ExecuteAsync(planned);
        if (await RestAsync()) return true;
        Remember(calling, state.Results);
        return false;
    }

    /// <summary>Makes calls. Those that are runs which rest are left in <see cref="RunState.Resting"/>.</summary>
    private async Task ExecuteAsync(List<PlannedCall> planned)
    {
        while (planned.Count > 0)
        {
            CallResult[] results = await Task.WhenAll(planned.Select(plan => tools.ExecuteAsync(_run, plan with { ChildRunId = Resting(plan)?.Call.RunId }, _token)));
            var again = new List<PlannedCall>();
            var waits = new List<RunWait>();
            for (int i = 0; i < results.Length; i++)
            {
                RestingChild? resting = Resting(planned[i]);
                if (results[i].Rests is { } rests)
                {
                    if (resting is not null) continue;
                    waits.Add(Await(planned[i], rests));
                    again.Add(planned[i]);
                    continue;
                }
                if (resting is not null) Close(resting);
                // The registry's name: the model's own may be anything.
                Took(planned[i].Call, results[i], $"tool:{planned[i].Tool?.Tool.Name ?? "unknown"}");
            }
            if (again.Count > 0) await FlushAsync(waits);
            // Those whose wait is stored only now are looked at once more: one that has ended in between told nobody.
            planned = again;
        }
    }

    private RestingChild? Resting(PlannedCall plan) => state.Resting.Find(r => r.IdempotencyKey == plan.IdempotencyKey);

    private RunWait Await(PlannedCall plan, RestingCall rests)
    {
        DateTimeOffset now = services.Time.GetUtcNow();
        var child = new RestingChild(plan.IdempotencyKey, Ids.New("wait", now), rests);
        state.Resting.Add(child);
        log.ChildRests(plan.Call, child);
        return new RunWait { Id = child.WaitId, TenantId = _run.TenantId, RunId = _run.Id, Path = plan.IdempotencyKey, Kind = WaitKind.Child, Name = rests.RunId, Title = plan.Tool?.Tool.Name, RequestedAt = now, ExpiresAt = rests.Until };
    }

    private void Close(RestingChild child)
    {
        state.Resting.Remove(child);
        _closedWaits.Add(child.WaitId);
    }

    private void Took(ToolCall call, CallResult result, string step)
    {
        if (state.Edited.Contains(call.Id)) result = PendingCall.Edited(call, result);
        if (_agent.Guardrails.LooksAt(GuardrailStages.ToolResult))
        {
            Guarded guarded = _agent.Guardrails.Apply(GuardrailStages.ToolResult, result.Text);
            Triggered(guarded, call.Id);
            result = guarded.Blocked is null ? result with { Text = guarded.Text } : new CallResult("The call was made; a guardrail of this agent keeps its result from you.", true);
        }
        if (result.Written is { } written) log.BlackboardWritten(call, written);
        log.ToolCallCompleted(call, result);
        // A question that goes round in a circle was not asked at all.
        if (result is { Code: ToolErrorCodes.NoProgress, RunId: null }) log.NoProgress("sub_run", 1);
        if (result.RunId is not null && state.Guard.Answered(call, result.Text, services.Options.Value.MaxIdenticalRounds)) state.Stalled = true;
        state.Spent(result.Usage, result.CostUsd);
        state.Results.Add((call, result.Text));
        state.StepNames.Add(step);
        services.Journeys.Step(_run, step);
    }

    /// <summary>Goes on with the calls that a person has decided on, or nobody in time. True when the run rests for others.</summary>
    private async Task<bool> DecideAsync()
    {
        // One that was cancelled while it rested makes no call any more.
        _token.ThrowIfCancellationRequested();
        if (state.Pending.Count == 0) return await RestAsync();
        IReadOnlyList<RunWait> resolved = await services.Waits.ResolvedAsync(_run.TenantId, _run.Id);
        DateTimeOffset now = services.Time.GetUtcNow();
        var planned = new List<PlannedCall>();
        foreach (PendingCall pending in state.Pending.ToArray())
        {
            WaitResolution? resolution = resolved.FirstOrDefault(w => w.Id == pending.WaitId)?.Resolution;
            if (resolution is null && pending.ExpiresAt > now) continue;
            state.Pending.Remove(pending);
            _closedWaits.Add(pending.WaitId);
            log.ApprovalDecided(pending, resolution);
            if (pending.Allowed(resolution) is not { } allowed)
            {
                Took(pending.Call, PendingCall.Refused(resolution), $"tool:{pending.Call.Name}");
                continue;
            }
            if (resolution!.Decision == "edit") state.Edited.Add(allowed.Id);
            PlannedCall plan = tools.Plan(_agent, allowed, pending.IdempotencyKey);
            log.ToolCallIntended(plan.Call, plan.IdempotencyKey, plan.Effect);
            planned.Add(plan);
        }
        if (_closedWaits.Count > 0) await FlushAsync();
        await ExecuteAsync(planned);
        return await RestAsync();
    }

    /// <summary>Puts the run to rest until somebody decides or a run of its calls ends, or the time of one of them is up. False when it waits for nothing.</summary>
    private async Task<bool> RestAsync()
    {
        if (state.Pending.Count == 0 && state.Resting.Count == 0) return false;
        DateTimeOffset? wake = state.Pending.Select(p => (DateTimeOffset?)p.ExpiresAt).Concat(state.Resting.Select(r => r.Call.Until)).Min();
        bool paused = live.PauseRequested;
        if (paused) log.Paused();
        else log.Waiting(wake);
        await FlushAsync([], new Parking(wake) { Paused = paused, Steps = state.Steps, Usage = state.Usage, CostUsd = state.CostUsd });
        return true;
    }

    /// <summary>Adds calls and results to the conversation. Stored together: a call without its result would spoil the history.</summary>
    private void Remember(ChatMessage calling, IReadOnlyList<(ToolCall Call, string Result)> results)
    {
        DateTimeOffset now = services.Time.GetUtcNow();
        state.Messages.Add(calling);
        _messages.Add(new NewMessage(Ids.New("msg", now), "assistant", false, calling.Json.ToArray(), now));
        foreach ((ToolCall call, string result) in results)
        {
            ChatMessage message = ChatMessage.ToolResult(call.Id, result);
            state.Messages.Add(message);
            _messages.Add(new NewMessage(Ids.New("msg", now), "tool", false, message.Json.ToArray(), now));
        }
        state.Results.Clear();
        state.Edited.Clear();
    }
}
