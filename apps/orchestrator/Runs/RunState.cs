using MultiAgent.Models;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Conversations.Compaction;
using MultiAgent.Orchestrator.Runs.Approvals;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>A call that was intended and has no result.</summary>
internal sealed record OpenCall(ToolCall Call, string IdempotencyKey, string Effect);

/// <summary>A call that is a run which rests: this run waits for its end.</summary>
internal sealed record RestingChild(string IdempotencyKey, string WaitId, RestingCall Call);

/// <summary>What a run knows while it works; after a crash it is built again from the log.</summary>
internal sealed class RunState
{
    /// <summary>The conversation for the model, without the agent's instructions.</summary>
    public List<ChatMessage> Messages { get; } = [];

    /// <summary>Of what came before <see cref="Messages"/>; null when nothing was summarised.</summary>
    public string? Summary { get; private set; }

    /// <summary>The conversation could not be summarised: it is not tried again in this run.</summary>
    public bool CompactionFailed { get; set; }

    public CallGuard Guard { get; } = new();

    public int Steps { get; set; }

    /// <summary>Sum over the calls of the model.</summary>
    public TokenUsage Usage { get; private set; }

    /// <summary>Null once the cost of any call is unknown.</summary>
    public decimal? CostUsd { get; set; } = 0m;

    /// <summary>Names of the steps, for the journey.</summary>
    public List<string> StepNames { get; } = [];

    /// <summary>Number of the last event in the log.</summary>
    public long LastSeq { get; set; }

    /// <summary>The event <c>run.started</c> is in the log.</summary>
    public bool Started { get; set; }

    /// <summary>The event <c>model.called</c> is in the log, and its call has no result.</summary>
    public bool ModelCalled { get; set; }

    /// <summary>After a crash or a rest: the assistant's message whose calls were being made.</summary>
    public ChatMessage? CallingMessage { get; set; }

    /// <summary>After a crash or a rest: calls of <see cref="CallingMessage"/> without a result.</summary>
    public List<OpenCall> Open { get; } = [];

    /// <summary>Calls of <see cref="CallingMessage"/> that wait for a person.</summary>
    public List<PendingCall> Pending { get; } = [];

    /// <summary>Calls of <see cref="CallingMessage"/> that are runs which rest.</summary>
    public List<RestingChild> Resting { get; } = [];

    /// <summary>Ids of calls whose arguments a person has changed.</summary>
    public HashSet<string> Edited { get; } = new(StringComparer.Ordinal);

    /// <summary>After a crash: results of <see cref="CallingMessage"/> that are in the log.</summary>
    public List<(ToolCall Call, string Result)> Results { get; } = [];

    /// <summary>After a crash: calls of <see cref="CallingMessage"/> that the client is to make.</summary>
    public List<ToolCall> ClientCalls { get; } = [];

    /// <summary>Others were asked the same so often that the run is to stop.</summary>
    public bool Stalled { get; set; }

    /// <summary>A soft limit was reached: the run goes on as the agent's degraded self.</summary>
    public bool Degraded { get; set; }

    /// <summary>The answer was sent back once because it did not follow the response format.</summary>
    public bool Repaired { get; set; }

    /// <summary>Begins with what was said before.</summary>
    public void Load(History history, IEnumerable<ChatMessage> input)
    {
        Summary = history.Summary;
        Messages.AddRange(history.Messages);
        Messages.AddRange(input);
    }

    /// <summary>Puts a summary in the place of messages.</summary>
    public void Compact(string summary, long through, int own)
    {
        CompactionPlan.Apply(Messages, through, own);
        Summary = summary;
    }

    /// <summary>What a model is sent besides the instructions.</summary>
    public IReadOnlyList<ChatMessage> ForModel() => Summary is null ? Messages : [ConversationSummary.MessageOf(Summary), .. Messages];

    public void Used(in TokenUsage usage, decimal? cost)
    {
        Steps++;
        Spent(usage, cost);
        StepNames.Add("model");
    }

    /// <summary>A call of the model that led to no step.</summary>
    public void Spent(in TokenUsage usage, decimal? cost)
    {
        Usage += usage;
        CostUsd = cost is null ? null : CostUsd + cost;
    }
}
