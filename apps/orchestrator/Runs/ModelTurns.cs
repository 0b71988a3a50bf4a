using MultiAgent.Models;
using MultiAgent.Models.Dispatch;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>The model's turns in a run: what it is sent, and which model is asked.</summary>
internal sealed class ModelTurns
{
    private readonly RunServices _services;
    private readonly LiveRun _live;
    private readonly RunState _state;
    private readonly long _begun;
    private CompiledAgent _agent;
    private RequestTemplate _template;
    private byte[]? _system;

    public ModelTurns(RunServices services, LiveRun live, RunState state)
    {
        _services = services;
        _live = live;
        _state = state;
        _begun = services.Time.GetTimestamp();
        // What was degraded before a crash or a rest stays so.
        _agent = state.Degraded && live.Agent!.Degraded is { } degraded ? degraded : live.Agent!;
        _template = new RequestTemplate(_agent, live.Input.Completion, live.Input.Stream);
        _system = _agent.RenderSystemMessage(live.Input.Variables);
    }

    /// <summary>The name that the dispatcher resolves.</summary>
    public string Model => _agent.Model;

    /// <summary>The limit of which the agent's share is used, when the run has not been degraded yet; null when it goes on as it is.</summary>
    public string? NearLimit()
    {
        if (_state.Degraded || _live.Agent!.Spec.Limits is not { Soft: { } soft } limits) return null;
        double share = soft.At ?? SoftLimit.DefaultAt;
        if (limits.MaxTokens is { } tokens && _state.Usage.InputTokens + _state.Usage.OutputTokens >= tokens * share) return "max_tokens";
        if (limits.MaxCostUsd is { } dollars && _state.CostUsd >= dollars * (decimal)share) return "max_cost";
        if (_state.Steps >= _live.Agent.MaxSteps * share) return "max_steps";
        return _services.Time.GetElapsedTime(_begun) >= _live.Agent.MaxTime * share ? "max_seconds" : null;
    }

    /// <summary>Goes on with a cheaper model, which is told to come to an end.</summary>
    public void Degrade()
    {
        _state.Degraded = true;
        _agent = _live.Agent!.Degraded!;
        _template = new RequestTemplate(_agent, _live.Input.Completion, _live.Input.Stream);
        _system = _agent.RenderSystemMessage(_live.Input.Variables);
    }

    /// <summary>One call of the model.</summary>
    /// <exception cref="ModelException">It could not answer.</exception>
    public async Task<(ModelReply Reply, string Model, TokenUsage Usage, decimal? Cost)> CallAsync(CancellationToken cancellationToken)
    {
        RunRecord run = _live.Record;
        (ReadOnlyMemory<byte> body, var envelope) = _template.Build(_system, Fitting(), first: _state.Steps == 0);
        var call = new ModelCall
        {
            Body = body,
            Envelope = envelope,
            Fallbacks = _agent.Spec.Fallbacks ?? [],
            Usage = new UsageContext { TenantId = run.TenantId, RequestId = run.RequestId, ApiKeyId = run.ApiKeyId, UserId = run.UserId, RunId = run.Id, Agent = run.Agent },
        };
        ModelExchange exchange = await _services.Dispatcher.SendAsync(call, cancellationToken);
        bool whole = false;
        try
        {
            // What a guardrail has yet to see is not shown.
            ModelReply reply = await ModelReplyReader.ReadAsync(exchange, _agent.Guardrails.HoldsOutput ? static _ => { } : _live.AppendText, cancellationToken);
            whole = true;
            return (reply, exchange.Model.Id, exchange.Usage ?? default, exchange.CostUsd);
        }
        finally
        {
            await exchange.DisposeAsync();
            // An answer that was cut is paid for: it counts in the run as it does in the books.
            if (!whole && exchange.Usage is { } cut) _state.Spent(cut, exchange.CostUsd);
        }
    }

    /// <summary>Tokens of the instructions and tools. Schemas are wordy JSON: three bytes a token is on the safe side.</summary>
    public int Overhead() => (_system is null ? 0 : _services.Models.CountTokens(_system, _agent.Model)) + _agent.ToolsJson.Sum(static t => t.Length / 3);

    private IReadOnlyList<ChatMessage> Fitting()
    {
        IReadOnlyList<ChatMessage> messages = _state.ForModel();
        if (_services.Models.ContextTokens(_agent.Model) is not { } window) return ContextWindow.Trim(messages, long.MaxValue, static _ => 0);
        int answer = Math.Min(_agent.Spec.MaxTokens ?? 4096, window / 4);
        int fixedBytes = (_system?.Length ?? 0) + _agent.ToolsJson.Sum(static t => t.Length);
        // A token has at least one byte: nearly every conversation fits without counting.
        if (fixedBytes + messages.Sum(static m => (long)m.Json.Length) <= window - answer) return ContextWindow.Trim(messages, long.MaxValue, static _ => 0);
        return ContextWindow.Trim(messages, window - answer - Overhead(), m => _services.Models.CountTokens(m.Json.Span, _agent.Model));
    }
}
