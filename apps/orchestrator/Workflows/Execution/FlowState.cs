using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using MultiAgent.Models;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Workflows.Snapshots;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>What a run of a workflow knows; after a crash or a rest it is built again from the log.</summary>
internal sealed class FlowState
{
    private readonly ConcurrentDictionary<string, StepRecord> _records = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    // In order, so that what is below a place costs nothing for what is elsewhere; made once somebody asks.
    private SortedSet<string>? _places;
    private int _steps;

    /// <summary>Steps that were begun, each iteration and item counted.</summary>
    public int Steps => Volatile.Read(ref _steps);

    /// <summary>Of all agents.</summary>
    public TokenUsage Usage { get; private set; }

    /// <summary>US dollars; null once the cost of any call is unknown.</summary>
    public decimal? CostUsd { get; private set; } = 0m;

    /// <summary>Set when what was done is being undone: why.</summary>
    public (string Code, string Message)? Compensating { get; set; }

    public StepRecord At(string path)
    {
        if (_records.TryGetValue(path, out StepRecord? known)) return known;
        lock (_lock)
        {
            StepRecord record = _records.GetOrAdd(path, static _ => new StepRecord());
            _places?.Add(path);
            return record;
        }
    }

    public int CountStep() => Interlocked.Increment(ref _steps);

    public void Spent(in TokenUsage usage, decimal? cost)
    {
        lock (_lock)
        {
            Usage += usage;
            CostUsd = cost is null ? null : CostUsd + cost;
        }
    }

    /// <summary>The hash of all that was asked and came of it below a place; null when nobody was asked, or what was asked is not known.</summary>
    public string? StateBelow(string path)
    {
        var parts = new List<string?>();
        bool asked = false;
        foreach (string place in Below(path))
        {
            StepRecord record = _records[place];
            if (record.Status == StepStatus.New) continue;
            asked |= record.Asked is not null;
            parts.AddRange([place[path.Length..], record.Status.ToString(), record.Asked, record.Output?.GetRawText(), record.ErrorCode]);
        }
        return asked ? ProgressGuard.Hash([.. parts]) : null;
    }

    public static FlowState Rebuild(IEnumerable<RunEvent> events)
    {
        var state = new FlowState();
        foreach (RunEvent e in events) state.Apply(e);
        return state;
    }

    /// <summary>A state as it was kept.</summary>
    public static FlowState From(FlowContent content)
    {
        var state = new FlowState { _steps = content.Steps, Usage = content.Usage, CostUsd = content.CostUsd, Compensating = content.Compensating };
        foreach ((string path, StepRecord record) in content.Records) state._records[path] = record;
        return state;
    }

    /// <summary>The state as it can be kept. Only of one that nobody works with.</summary>
    public FlowContent Content() => new() { Steps = _steps, Usage = Usage, CostUsd = CostUsd, Compensating = Compensating, Records = new Dictionary<string, StepRecord>(_records, StringComparer.Ordinal) };

    private string[] Below(string path)
    {
        lock (_lock)
        {
            _places ??= new SortedSet<string>(_records.Keys, StringComparer.Ordinal);
            // What begins with the path and a slash; '0' follows '/'.
            return [.. _places.GetViewBetween($"{path}/", $"{path}0")];
        }
    }

    /// <summary>Takes the next event of the log in.</summary>
    public void Apply(RunEvent e)
    {
        using var document = JsonDocument.Parse(e.Data);
        JsonElement root = document.RootElement;
        // That a step could not be undone is told once.
        if (e.Type == RunEventTypes.CompensationFailed && Text(root, "undo") is { } undo) At(undo).Told = true;
        if (e.Type == RunEventTypes.Compensating) Compensating = (Text(root, "code")!, Text(root, "message") ?? "");
        if (Text(root, "path") is not { } path) return;
        StepRecord record = At(path);
        switch (e.Type)
        {
            case RunEventTypes.StepStarted:
                record.Status = StepStatus.Started;
                record.StartedAt = e.At;
                _steps++;
                break;
            case RunEventTypes.StepRetrying:
                record.BeginAttempt(root.GetProperty("attempt").GetInt32());
                foreach (string inside in Below(path)) _records[inside].Failure = null;
                record.RetryAt = Time(root, "at");
                break;
            case RunEventTypes.StepCompleted:
                (record.Status, record.DoneAt) = (StepStatus.Completed, e.Seq);
                record.Output = root.TryGetProperty("output", out JsonElement output) ? output.Clone() : null;
                break;
            case RunEventTypes.ChildCompleted:
                if (root.TryGetProperty("usage", out JsonElement usage)) Spent(Read(usage), Cost(usage));
                if (root.TryGetProperty("output", out JsonElement answer)) (record.Status, record.Output) = (StepStatus.Completed, answer.Clone());
                else
                {
                    record.BeginAttempt(record.Attempt + 1);
                    record.Failure = Text(root, "code") is { } code ? (code, Text(root, "message") ?? "") : null;
                }
                break;
            case RunEventTypes.SubworkflowStarted:
                record.Subworkflow = (Text(root, "workflowId")!, root.GetProperty("version").GetInt32());
                break;
            case RunEventTypes.StepSkipped:
                record.Status = StepStatus.Skipped;
                break;
            case RunEventTypes.StepFailed:
                (record.Status, record.DoneAt) = (StepStatus.Failed, e.Seq);
                (record.ErrorCode, record.ErrorMessage) = (Text(root, "code"), Text(root, "message"));
                break;
            case RunEventTypes.ChildStarted:
                record.ChildRunId = Text(root, "runId");
                if (Text(root, "message") is { } message) record.Asked = ProgressGuard.Hash(message);
                break;
            case RunEventTypes.ToolCallIntended:
                record.Intended = (Text(root, "idempotencyKey")!, Text(root, "effect")!);
                record.Asked = ProgressGuard.Hash(Text(root, "arguments"));
                break;
            case RunEventTypes.ToolCallCompleted:
                if (root.TryGetProperty("usage", out JsonElement used)) Spent(Read(used), Cost(used));
                break;
            case RunEventTypes.TimerSet:
                record.Until = Time(root, "until");
                break;
            case RunEventTypes.WaitRequested:
                record.WaitId = Text(root, "waitId");
                record.Until = Time(root, "expiresAt");
                break;
            case RunEventTypes.WaitResolved:
                record.Resolution = new WaitResolution(Text(root, "decision")!, Text(root, "by"), Text(root, "comment"), root.TryGetProperty("data", out JsonElement data) ? data.GetRawText() : null, e.At);
                break;
            case RunEventTypes.WaitExpired:
                record.Expired = true;
                break;
            case RunEventTypes.BlackboardRead:
                record.Board = root.GetProperty("version").GetInt64();
                break;
            case RunEventTypes.BlackboardWritten:
                record.Written.Add(root.GetProperty("version").GetInt64());
                break;
        }
    }

    private static string? Text(JsonElement root, string name) => root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static DateTimeOffset? Time(JsonElement root, string name) => Text(root, name) is { } text ? DateTimeOffset.Parse(text, CultureInfo.InvariantCulture) : null;

    private static TokenUsage Read(JsonElement usage) => new(Number(usage, "inputTokens"), Number(usage, "outputTokens"), CachedInputTokens: Number(usage, "cachedInputTokens"),
        ReasoningTokens: Number(usage, "reasoningTokens"), Estimated: usage.TryGetProperty("estimated", out _));

    private static long Number(JsonElement usage, string name) => usage.TryGetProperty(name, out JsonElement value) ? value.GetInt64() : 0;

    private static decimal? Cost(JsonElement usage) => usage.TryGetProperty("costUsd", out JsonElement cost) && cost.ValueKind == JsonValueKind.Number ? cost.GetDecimal() : null;
}
