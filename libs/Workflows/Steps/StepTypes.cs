using System.Collections.Frozen;
using MultiAgent.Workflows.Reading;

namespace MultiAgent.Workflows.Steps;

/// <summary>What kind of thing a step is.</summary>
public enum StepKind
{
    /// <summary>Does one thing; may be a compensation.</summary>
    Leaf,
    /// <summary>Holds other steps.</summary>
    Container,
    /// <summary>Several agents that work together.</summary>
    Pattern,
    /// <summary>Ends the workflow.</summary>
    End,
}

/// <summary>What a record must say to be a type of step.</summary>
public interface IStepType<TSelf> where TSelf : Step, IStepType<TSelf>
{
    /// <summary>The value of <c>type</c>.</summary>
    static abstract string TypeName { get; }

    static abstract StepKind Kind { get; }

    /// <summary>JSON schema of its own members: an object with <c>properties</c> and <c>required</c>. May refer to the definitions of <see cref="WorkflowSchema"/>.</summary>
    static abstract string Schema { get; }

    /// <summary>Reads its own members. Must read each member of the schema, and no other: what is not read is reported as unknown.</summary>
    static abstract TSelf Read(StepReader reader);
}

/// <summary>A type of step.</summary>
public sealed record StepType(string Name, StepKind Kind, string Schema, Func<StepReader, Step> Read)
{
    public static StepType Of<T>() where T : Step, IStepType<T> => new(T.TypeName, T.Kind, T.Schema, static reader => T.Read(reader));
}

/// <summary>The types of steps that workflows may use.</summary>
public sealed class StepTypes
{
    private readonly FrozenDictionary<string, StepType> _byName;

    public StepTypes(IEnumerable<StepType> types)
    {
        All = [.. types];
        _byName = All.ToFrozenDictionary(t => t.Name, StringComparer.Ordinal);
    }

    public static StepTypes Default { get; } = new(
    [
        StepType.Of<AgentStep>(), StepType.Of<ToolStep>(), StepType.Of<SwitchStep>(), StepType.Of<ParallelStep>(), StepType.Of<MapStep>(), StepType.Of<LoopStep>(),
        StepType.Of<SubworkflowStep>(), StepType.Of<HumanStep>(), StepType.Of<WaitStep>(), StepType.Of<TransformStep>(), StepType.Of<EndStep>(),
        StepType.Of<GroupChatStep>(), StepType.Of<DebateStep>(), StepType.Of<PlanStep>(), StepType.Of<HandoffStep>(),
    ]);

    /// <summary>In the order of the documentation.</summary>
    public IReadOnlyList<StepType> All { get; }

    public StepType? Find(string name) => _byName.GetValueOrDefault(name);
}
