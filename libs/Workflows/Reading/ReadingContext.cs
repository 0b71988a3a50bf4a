using MultiAgent.Workflows.Steps;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Reading;

/// <summary>What is gathered while a document is read.</summary>
internal sealed class ReadingContext(StepTypes types)
{
    public const int MaxSteps = 500;
    public const int MaxNesting = 16;

    public StepTypes Types => types;

    public List<WorkflowProblem> Problems { get; } = [];

    public List<StepPlace> Places { get; } = [];

    public Dictionary<string, Step> Steps { get; } = new(StringComparer.Ordinal);

    public List<TemplateUse> Templates { get; } = [];

    public List<WorkflowReference> References { get; } = [];

    /// <summary>What the workflow declares, read before its steps.</summary>
    public IReadOnlyDictionary<string, BlackboardEntry> Blackboard { get; set; } = new Dictionary<string, BlackboardEntry>();

    /// <summary>Local variables of the place that is read, innermost last.</summary>
    public List<string> Locals { get; } = [];

    public int Nesting { get; set; }

    public int Count { get; set; }

    public void Add(SourceNode node, string path, string code, string message) => Problems.Add(new WorkflowProblem(node.Line, node.Column, path, code, message));
}

/// <summary>Where a step stands among the others; decides what its templates may refer to.</summary>
internal sealed class StepPlace
{
    public required string Id { get; init; }
    public required string Type { get; init; }
    public required StepPlace? Parent { get; init; }
    /// <summary>The block of <see cref="Parent"/>.</summary>
    public required string? Block { get; init; }
    /// <summary>The step that this one undoes.</summary>
    public StepPlace? Undoes { get; init; }
    /// <summary>Numbers in the order of the document: its own, and the last one inside.</summary>
    public required int Order { get; init; }
    public int Last { get; set; }
    public required int Line { get; init; }

    public bool IsInside(StepPlace other) => this != other && other.Order < Order && Order <= other.Last;
}

/// <summary>A template that was read, to be checked when all steps are known.</summary>
/// <param name="Node">Where it stands.</param>
/// <param name="Path">Where, for people.</param>
/// <param name="Place">The step that it belongs to; null for the workflow's own output.</param>
/// <param name="After">It is evaluated when the steps inside of its step have run.</param>
/// <param name="Locals">Local variables at hand.</param>
/// <param name="Uses">The variables that it uses.</param>
internal sealed record TemplateUse(SourceNode Node, string Path, StepPlace? Place, bool After, IReadOnlyList<string> Locals, IReadOnlyList<VariableUse> Uses);
