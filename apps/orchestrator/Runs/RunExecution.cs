using System.Text;
using MultiAgent.Contracts;
using MultiAgent.Models;
using MultiAgent.Models.Dispatch;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Conversations.Compaction;
using MultiAgent.Orchestrator.Guardrails;
using MultiAgent.Orchestrator.Responses;
using MultiAgent.Orchestrator.Runs.Approvals;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>
/// Works a run off: call the model, make the calls it asks for, until it answers or a bound is met. Every step is in the log
/// before and after it is taken; what belongs to one boundary is one write.
/// </summary>
internal sealed class RunExecution(RunServices services, ToolRunner tools, ChildRuns children, LiveRun live, RunState state, RunLog log) : IRunExecution
{
    /// <summary>Why a run ended whose messages were removed for a newer one's.</summary>
    public const string RolledBack = "rolled_back";

    private const int HistoryLimit = 400;

    private static readonly Guarded Unguarded = new("", null, []);

    private readonly RunRecord _run = live.Record;
    private readonly CompiledAgent _agent = live.Agent!;
    private readonly RunInput _input = live.Input;
    private readonly ModelTurns _model = new(services, live, state);
    private readonly RunCompaction _compaction = new(services, live, state, log);
    private readonly List<NewMessage> _messages = [];
    private readonly List<string> _closedWaits = [];
    private readonly RunWriter _writer = new(services, live);
    private ConversationSummary? _summary;
    private CancellationToken _token;

    public RunOutcome? Outcome { get; private set; }

    public IReadOnlyList<string> StepNames => state.StepNames;

    /// <summary>The event <c>model.called</c> of the next step and everything before it; without it when the model is not to be asked.</summary>
    public static void LogStart(RunLog log, CompiledAgent agent, RunInput input)
    {
        log.Started();
        foreach (GuardrailEvent triggered in input.Verdict?.Events ?? []) log.GuardrailTriggered(triggered);
        if (input.Verdict?.Blocked is null) log.ModelCalled(1, agent.Model);
    }

    /// <summary>What is new, as it is stored in the conversation.</summary>
    public static IReadOnlyList<NewMessage> NewMessages(RunInput input, DateTimeOffset at) =>
        input.Message is not null ? [new(input.MessageId!, "user", true, ChatMessage.Of(ChatRole.User, input.Message).Json.ToArray(), at)]
        : input.Response?.ConversationId is null ? []
        : [.. input.Messages.Where(m => m.Role != ChatRole.System).Select(m => new NewMessage(Ids.New("msg", at), m.Role switch { ChatRole.User => "user", ChatRole.Tool => "tool", _ => "assistant" }, m.Role == ChatRole.User, m.Json.ToArray(), at))];

    /// <summary>What was said before a run, in its conversation or in the responses that it goes on from.</summary>
    public static async ValueTask<History> HistoryAsync(IRunStore store, RunRecord run, RunInput input) =>
        input.Response is { } response ? await ResponseHistory.ReadAsync(store, run, response)
        : run.ConversationId is null || input.NewConversation ? History.None : await StoredHistoryAsync(store, run.TenantId, run.ConversationId, run.Id);

    /// <summary>What was said in a conversation, without what one run wrote.</summary>
    public static async ValueTask<History> StoredHistoryAsync(IRunStore store, string tenantId, string conversationId, string exceptRunId)
    {
        StoredHistory stored = await store.HistoryAsync(tenantId, conversationId, exceptRunId, HistoryLimit);
        return new History(stored.Summary, [.. stored.Messages.Select(m => ChatMessage.Parse(m.Wire) with { Position = m.Position })]);
    }

    public async Task RunAsync(bool resumed)
    {
        _token = live.Begin(_agent.MaxTime, services.Time);
        try
        {
            await WorkAsync(resumed);
        }
        catch (Exception e) when (_token.IsCancellationRequested && e is OperationCanceledException or ModelException or IOException)
        {
            if (live.Cause is StopCause.Shutdown or StopCause.LeaseLost) throw new OperationCanceledException(_token);
            // Those that rest are in no call under way that would cancel them.
            await children.CancelAsync(_run);
            if (live.Cause == StopCause.None) await StopAsync("max_seconds", default);
            else await CancelAsync(live.Cause switch { StopCause.ClientGone => "client_disconnected", StopCause.Superseded => "interrupted", StopCause.RolledBack => RolledBack, _ => "requested" });
        }
        catch (ModelException e)
        {
            await EndAsync(RunStatus.Failed, null, new RunError(e.Status, e.Code, e.Message), null);
        }
    }

    public Task FailAsync() => Outcome is not null ? Task.CompletedTask
        : EndAsync(RunStatus.Failed, null, new RunError(500, ErrorCodes.InternalError, "The run failed. Quote its id when you report this."), null);

    private async Task WorkAsync(bool resumed)
    {
        if (resumed)
        {
            log.Resumed();
            if (await ResumeAsync()) return;
        }
        if (!state.ModelCalled)
        {
            if (!state.Started)
            {
                LogStart(log, _agent, _input);
                _messages.AddRange(NewMessages(_input, services.Time.GetUtcNow()));
            }
            else if (_input.Verdict?.Blocked is null) CallModel();
        }
        if (log.Pending.Count > 0) await FlushAsync();
        if (_input.Verdict?.Blocked is { } refusal) await RefuseAsync(refusal);
        else while (!await PauseAsync() && !await StepAsync()) await FlushAsync();
    }

    /// <summary>Puts the run to rest when that was asked for. True when it rests.</summary>
    private async Task<bool> PauseAsync()
    {
        if (!live.PauseRequested || live.Cause != StopCause.None) return false;
        log.Paused();
        await FlushAsync([], new Parking(null) { Paused = true, Steps = state.Steps, Usage = state.Usage, CostUsd = state.CostUsd });
        return true;
    }

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

    /// <summary>One call of the model and what follows from it. True when the run has ended.</summary>
    private async Task<bool> StepAsync()
    {
        _summary = await _compaction.TryAsync(_model.Model, _model.Overhead, _token);
        if (log.Pending.Count > 0) await FlushAsync();
        (ModelReply reply, string model, TokenUsage usage, decimal? cost) = await _model.CallAsync(_token);
        state.Used(usage, cost);
        services.Journeys.Step(_run, "model");
        IReadOnlyList<ToolCall> calls = reply.Calls();
        if (calls.Count == 0) return await AnswerAsync(reply, model, usage, cost);

        Guarded said = Guard(GuardrailStages.Output, reply.Text);
        ReadOnlyMemory<byte> text = said.Events.Count == 0 ? reply.Text : Encoding.UTF8.GetBytes(said.Text);
        ChatMessage calling = ChatMessage.Assistant(text.Span, calls);
        log.ModelCompleted(state.Steps, model, usage, cost, reply.FinishReason, calling, _agent.Guardrails.HoldsOutput ? default : reply.Text);
        Triggered(said);
        List<ToolCall> own = [.. calls.Where(c => _input.Completion?.ToolNames.Contains(c.Name) != true)];
        List<ToolCall> clients = [.. calls.Except(own)];
        string? stop = null;
        foreach (ToolCall call in own) stop ??= state.Guard.Note(call);
        if (stop is null && clients.Count == 0 && state.Steps >= _agent.MaxSteps) stop = "max_steps";
        stop ??= clients.Count == 0 ? SpentLimit() : null;
        if (stop is not null)
        {
            await StopAsync(stop, text);
            return true;
        }
        if (own.Count > 0)
        {
            if (await CallToolsAsync(calling, own)) return true;
        }
        // The next message of the conversation brings the results.
        else if (_run.ConversationId is not null) Remember(calling, []);
        return await ContinueAsync(clients, Encoding.UTF8.GetString(text.Span), model);
    }

    /// <summary>After the tools: hand the client's calls out, stop at a bound, or go on to the next step.</summary>
    private async Task<bool> ContinueAsync(List<ToolCall> clients, string text, string? model)
    {
        if (clients.Count > 0)
        {
            var message = Message(Encoding.UTF8.GetBytes(text), "tool_calls", model) with { ToolCalls = EventWriterOf(clients) };
            log.MessageCompleted(message, state.Usage, state.CostUsd, partial: false, default);
            await EndAsync(RunStatus.Completed, "tool_calls", null, message);
            return true;
        }
        if ((state.Stalled ? CallGuard.NoProgress : state.Steps >= _agent.MaxSteps ? "max_steps" : SpentLimit()) is { } stop)
        {
            if (state.Stalled) StalledTogether();
            await StopAsync(stop, default);
            return true;
        }
        CallModel();
        return false;
    }

    private void StalledTogether()
    {
        log.NoProgress("sub_run", services.Options.Value.MaxIdenticalRounds);
        services.Metrics.NoProgress("sub_run");
    }

    /// <summary>Logs that the model is asked next; from a share of a limit on, a cheaper one that answers briefly.</summary>
    private void CallModel()
    {
        if (_model.NearLimit() is { } limit)
        {
            _model.Degrade();
            log.SoftLimitReached(limit, _model.Model);
        }
        log.ModelCalled(state.Steps + 1, _model.Model);
    }

    /// <summary>Has the agent's guardrails look at a text.</summary>
    private Guarded Guard(GuardrailStages stage, ReadOnlyMemory<byte> text) =>
        text.IsEmpty || !_agent.Guardrails.LooksAt(stage) ? Unguarded : _agent.Guardrails.Apply(stage, Encoding.UTF8.GetString(text.Span));

    private void Triggered(Guarded guarded, string? callId = null)
    {
        foreach (GuardrailEvent triggered in guarded.Events)
        {
            log.GuardrailTriggered(triggered, callId);
            services.Metrics.GuardrailTriggered(triggered);
        }
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

    private async Task<bool> AnswerAsync(ModelReply reply, string model, TokenUsage usage, decimal? cost)
    {
        Guarded said = Guard(GuardrailStages.Output, reply.Text);
        ReadOnlyMemory<byte> text = said.Events.Count == 0 ? reply.Text : Encoding.UTF8.GetBytes(said.Text);
        bool held = _agent.Guardrails.HoldsOutput;
        string? problem = _agent.ResponseSchema is null || said.Blocked is not null ? null : ResponseCheck.Problem(_agent, _input, Encoding.UTF8.GetString(text.Span));
        // What was streamed cannot be taken back: only an answer that nobody saw is asked for again.
        if (problem is not null && (held || !_input.Stream) && !state.Repaired && state.Steps < _agent.MaxSteps && SpentLimit() is null)
        {
            ChatMessage rejected = ChatMessage.Assistant(text.Span, []);
            log.ModelCompleted(state.Steps, model, usage, cost, reply.FinishReason, rejected, held ? default : reply.Text);
            Triggered(said);
            state.Repaired = true;
            state.Messages.Add(rejected);
            state.Messages.Add(ResponseCheck.Feedback(problem));
            CallModel();
            return false;
        }
        log.ModelCompleted(state.Steps, model, usage, cost, reply.FinishReason, null, held ? default : reply.Text);
        Triggered(said);
        if (said.Blocked is { } refusal)
        {
            await RefuseAsync(refusal);
            return true;
        }
        string finish = reply.FinishReason is "length" or "content_filter" ? reply.FinishReason : "stop";
        FinalMessage message = Message(text, finish, model);
        log.MessageCompleted(message, state.Usage, state.CostUsd, partial: false, held ? text : default);
        await EndAsync(RunStatus.Completed, problem is not null ? ResponseCheck.Invalid : finish == "stop" ? null : finish, null, message);
        return true;
    }

    /// <summary>Ends the run with what a guardrail says instead of an answer.</summary>
    private async Task RefuseAsync(string refusal)
    {
        byte[] text = Encoding.UTF8.GetBytes(refusal);
        FinalMessage message = Message(text, "content_filter", null);
        log.MessageCompleted(message, state.Usage, state.CostUsd, partial: false, text);
        await EndAsync(RunStatus.Completed, GuardrailSet.BlockedReason, null, message);
    }

    /// <summary>Ends the run at a bound, and tells the user so.</summary>
    private async Task StopAsync(string reason, ReadOnlyMemory<byte> text)
    {
        string note = StopNotes.Of(reason, _agent);
        byte[] partial = live.TextSoFar();
        bool unfinished = text.IsEmpty && partial.Length > 0;
        if (unfinished) text = partial;
        byte[] tail = Encoding.UTF8.GetBytes(text.IsEmpty ? note : $"\n\n{note}");
        byte[] whole = [.. text.Span, .. tail];
        // Readers count from the start of the message that they were reading: the unfinished one, or a new one of the note alone.
        byte[] streamed = unfinished ? whole : tail;
        FinalMessage message = Message(whole, "stop", null);
        log.LimitReached(reason);
        log.MessageCompleted(message, state.Usage, state.CostUsd, partial: false, streamed);
        await EndAsync(RunStatus.Completed, reason, null, message);
    }

    private async Task CancelAsync(string reason)
    {
        FinalMessage? message = null;
        // What the user has seen of the answer stays in the conversation.
        if (reason != RolledBack && live.TextSoFar() is { Length: > 0 } partial)
        {
            message = Message(partial, "stop", null);
            log.MessageCompleted(message, state.Usage, state.CostUsd, partial: true, partial);
        }
        await EndAsync(RunStatus.Cancelled, reason, null, message);
    }

    private string? SpentLimit()
    {
        AgentLimits? limits = _agent.Spec.Limits;
        if (limits?.MaxTokens is { } tokens && state.Usage.InputTokens + state.Usage.OutputTokens >= tokens) return "max_tokens";
        if (limits?.MaxCostUsd is not { } dollars) return null;
        // A bound on money that cannot be kept is not ignored.
        return state.CostUsd is not { } spent ? "cost_unknown" : spent >= dollars ? "max_cost" : null;
    }

    private FinalMessage Message(ReadOnlyMemory<byte> text, string finishReason, string? model) =>
        new() { Id = Ids.New("msg", services.Time), Text = text, FinishReason = finishReason, Model = model };

    private static ReadOnlyMemory<byte> EventWriterOf(List<ToolCall> calls)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>(256);
        using var json = new System.Text.Json.Utf8JsonWriter(buffer, Json.WriterOptions);
        ToolCall.Write(json, calls);
        json.Flush();
        return buffer.WrittenMemory;
    }

    private async Task EndAsync(RunStatus status, string? reason, RunError? error, FinalMessage? message)
    {
        DateTimeOffset now = services.Time.GetUtcNow();
        RunRecord end = _run with
        {
            Status = status, Reason = reason, Error = error, Steps = state.Steps, Usage = state.Usage,
            CostUsd = state.CostUsd, StartedAt = _run.StartedAt ?? _run.CreatedAt, EndedAt = now,
        };
        if (message is { Text.Length: > 0, ToolCalls.IsEmpty: true } && _run.ConversationId is not null)
            _messages.Add(new NewMessage(message.Id, "assistant", true, ChatMessage.Assistant(message.Text.Span, []).Json.ToArray(), now));
        log.Ended(end);
        List<RunEvent> events = log.Take();
        await _writer.WriteAsync(new RunWrite { Run = _run, Events = events, Messages = [.. _messages], End = end, Event = RunEndedEvent.Of(end), RemovesMessages = reason == RolledBack, ClosedWaits = [.. _closedWaits, .. state.Pending.Select(p => p.WaitId), .. state.Resting.Select(r => r.WaitId)] });
        _messages.Clear();
        live.Publish(events);
        Outcome = new RunOutcome(end, message);
    }

    private Task FlushAsync() => FlushAsync([]);

    private async Task FlushAsync(IReadOnlyList<RunWait> waits, Parking? parks = null)
    {
        List<RunEvent> events = log.Take();
        await _writer.WriteAsync(new RunWrite { Run = _run, Events = events, Messages = [.. _messages], Waits = waits, ClosedWaits = [.. _closedWaits], Parks = parks, Summary = _summary });
        _messages.Clear();
        _closedWaits.Clear();
        _summary = null;
        live.LastProgress = services.Time.GetTimestamp();
        live.Publish(events);
    }
}
