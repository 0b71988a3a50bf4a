using System.Text;
using MultiAgent.Contracts;
using MultiAgent.Models;
using MultiAgent.Models.Dispatch;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Conversations.Compaction;
using MultiAgent.Orchestrator.Guardrails;
using MultiAgent.Orchestrator.Responses;
using MultiAgent.Orchestrator.Runs.Waits;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>
/// Works a run off: call the model, make the calls it asks for, until it answers or a bound is met. Every step is in the log
/// before and after it is taken; what belongs to one boundary is one write.
/// </summary>
internal sealed partial class RunExecution(RunServices services, ToolRunner tools, ChildRuns children, LiveRun live, RunState state, RunLog log) : IRunExecution
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

    private string? SpentLimit()
    {
        AgentLimits? limits = _agent.Spec.Limits;
        if (limits?.MaxTokens is { } tokens && state.Usage.InputTokens + state.Usage.OutputTokens >= tokens) return "max_tokens";
        if (limits?.MaxCostUsd is not { } dollars) return null;
        // A bound on money that cannot be kept is not ignored.
        return state.CostUsd is not { } spent ? "cost_unknown" : spent >= dollars ? "max_cost" : null;
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
