using MultiAgent.Contracts;
using MultiAgent.Models;
using MultiAgent.Models.Dispatch;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Conversations.Compaction;

/// <summary>
/// Summarises the beginning of a run's conversation when it has grown too large. That it was done, and with what result, is in the run's log: a run that is taken up
/// again takes it from there. When it cannot be done, the oldest messages are left out as without it.
/// </summary>
internal sealed class RunCompaction(RunServices services, LiveRun live, RunState state, RunLog log)
{
    // To replace little costs a call and gains little.
    private const int LeastShare = 5;

    /// <summary>Compacts what the model is to be sent, if it is time. The log then has an event that is not stored yet.</summary>
    /// <param name="model">The model that is asked next.</param>
    /// <param name="overhead">Tokens of the instructions and tools, which are sent besides.</param>
    /// <param name="cancellationToken">Of the run.</param>
    /// <returns>What is to be kept with the conversation; null when nothing is.</returns>
    public async Task<ConversationSummary?> TryAsync(string model, Func<int> overhead, CancellationToken cancellationToken)
    {
        if (live.Agent!.Spec.Context is not { Strategy: AgentContext.Summarize } spec || state.CompactionFailed || Limit(spec, model) is not { } limit) return null;
        // A token has at least one byte: nearly every conversation needs no counting.
        int fixedTokens = overhead();
        long bytes = fixedTokens + (state.Summary?.Length ?? 0) * 4L;
        foreach (ChatMessage message in state.Messages) bytes += message.Json.Length;
        if (bytes <= limit) return null;
        long before = fixedTokens + Count(state.ForModel(), model);
        if (before <= limit) return null;
        CompactionPlan plan = CompactionPlan.Of(state.Messages, spec.KeepMessages ?? AgentContext.DefaultKeepMessages);
        if (plan.Replaced == 0 || Count(plan.Told, model) * LeastShare < before - fixedTokens) return null;
        RunRecord run = live.Record;
        WrittenSummary summary;
        try
        {
            summary = await services.Summariser.WriteAsync(spec.ModelOr(model), live.Agent.Spec.Fallbacks ?? [], state.Summary, plan.Told, spec.SummaryTokens ?? AgentContext.DefaultSummaryTokens,
                new UsageContext { TenantId = run.TenantId, RequestId = run.RequestId, ApiKeyId = run.ApiKeyId, UserId = run.UserId, RunId = run.Id, Agent = run.Agent }, cancellationToken);
        }
        catch (Exception e) when (e is ModelException or IOException && !cancellationToken.IsCancellationRequested)
        {
            state.CompactionFailed = true;
            log.Add(RunEventTypes.CompactionFailed, e is ModelException known ? (known.Code, known.Message) : (ErrorCodes.ProviderUnavailable, "The model that summarises could not be reached."), static (json, s) =>
            {
                json.WriteString("code"u8, s.Item1);
                json.WriteString("message"u8, s.Item2);
                json.WriteString("fallback"u8, AgentContext.Truncate);
            });
            return null;
        }
        state.Spent(summary.Usage, summary.CostUsd);
        state.Compact(summary.Text, plan.Through, plan.Own);
        long after = fixedTokens + Count(state.ForModel(), model);
        log.Add(RunEventTypes.ContextCompacted, (summary, plan, before, after), static (json, s) =>
        {
            json.WriteString("summary"u8, s.summary.Text);
            json.WriteString("model"u8, s.summary.Model);
            json.WriteNumber("messages"u8, s.plan.Replaced);
            json.WriteNumber("throughPosition"u8, s.plan.Through);
            json.WriteNumber("ownMessages"u8, s.plan.Own);
            json.WriteNumber("tokensBefore"u8, s.before);
            json.WriteNumber("tokensAfter"u8, s.after);
            RunLog.WriteUsage(json, s.summary.Usage, s.summary.CostUsd);
        });
        DateTimeOffset now = services.Time.GetUtcNow();
        return run.ConversationId is null || plan.Through == 0 ? null
            : new ConversationSummary { Id = Ids.New("sum", now), ConversationId = run.ConversationId, RunId = run.Id, Through = plan.Through, Text = summary.Text, Model = summary.Model, CreatedAt = now };
    }

    private long? Limit(AgentContext spec, string model)
    {
        long? share = services.Models.ContextTokens(model) is { } window ? (long)(window * (spec.Threshold ?? AgentContext.DefaultThreshold)) : null;
        return spec.MaxTokens is { } tokens ? Math.Min(tokens, share ?? long.MaxValue) : share;
    }

    private long Count(IReadOnlyList<ChatMessage> messages, string model) => messages.Sum(m => (long)services.Models.CountTokens(m.Json.Span, model));
}
