using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary>
/// A step of a workflow. Each type is one record that derives from this and implements <see cref="IStepType{TSelf}"/>: its members, its schema and how it is read.
/// </summary>
/// <param name="Head">What all steps have.</param>
public abstract record Step(StepHead Head)
{
    public string Id => Head.Id;
    public string Type => Head.Type;
    /// <summary>Null or true: the step runs; false: it is skipped.</summary>
    public Condition? When => Head.When;
    public StepPolicy Policy => Head.Policy;
    /// <summary>What the step writes to the blackboard once it is done.</summary>
    public IReadOnlyDictionary<string, ValueTemplate> Set => Head.Set;
    /// <summary>Undoes the step when a later one fails for good.</summary>
    public Step? Compensate => Head.Compensate;

    /// <summary>The lists of steps inside this one, in the order of the source; empty for leaves.</summary>
    public virtual IReadOnlyList<StepBlock> Blocks => [];
}

/// <summary>What all steps have, whatever their type.</summary>
public sealed record StepHead
{
    private static readonly IReadOnlyDictionary<string, ValueTemplate> NoWrites = new Dictionary<string, ValueTemplate>();

    public required string Id { get; init; }
    public required string Type { get; init; }
    public Condition? When { get; init; }
    public StepPolicy Policy { get; init; } = StepPolicy.Default;
    public IReadOnlyDictionary<string, ValueTemplate> Set { get; init; } = NoWrites;
    public Step? Compensate { get; init; }
    public required int Line { get; init; }
    public required int Column { get; init; }
}

/// <summary>A list of steps inside a step.</summary>
/// <param name="Key">Unique in the step and the same for the same source, e.g. <c>case0</c>, <c>default</c>, a branch's id, <c>body</c>.</param>
/// <param name="Label">For people.</param>
/// <param name="Steps">In order.</param>
public sealed record StepBlock(string Key, string Label, IReadOnlyList<Step> Steps);

/// <summary>What becomes of the run when a step has failed for good.</summary>
public enum ErrorAction
{
    Fail,
    Continue,
}

/// <summary>How a step is tried and bounded.</summary>
public sealed record StepPolicy
{
    public static StepPolicy Default { get; } = new();

    public RetryPolicy Retry { get; init; } = RetryPolicy.None;
    /// <summary>For one attempt; of a <c>wait</c> for an event or webhook, how long to wait at most.</summary>
    public TimeSpan? Timeout { get; init; }
    public StepBudget? Budget { get; init; }
    public ErrorAction OnError { get; init; } = ErrorAction.Fail;
}

/// <summary>How often a failing step is tried, and the pauses between.</summary>
public sealed record RetryPolicy
{
    public static RetryPolicy None { get; } = new();

    /// <summary>All attempts, the first included; 1 to 20.</summary>
    public int Attempts { get; init; } = 1;
    public TimeSpan Delay { get; init; } = TimeSpan.FromSeconds(1);
    public double Factor { get; init; } = 2;
    public TimeSpan MaxDelay { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>The pause after a failed attempt, without jitter.</summary>
    /// <param name="attempt">The one that failed, from 1.</param>
    public TimeSpan DelayAfter(int attempt)
    {
        double seconds = Delay.TotalSeconds * Math.Pow(Factor, Math.Max(0, attempt - 1));
        return seconds < MaxDelay.TotalSeconds ? TimeSpan.FromSeconds(seconds) : MaxDelay;
    }
}

/// <summary>What one step may use.</summary>
public sealed record StepBudget(long? MaxTokens, decimal? MaxCostUsd);
