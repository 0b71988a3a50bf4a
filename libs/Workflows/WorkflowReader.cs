using System.Text.Json;
using System.Text.RegularExpressions;
using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Workflows;

/// <summary>What came of reading a workflow: the definition, or what is wrong.</summary>
/// <param name="Definition">Null when there are problems.</param>
/// <param name="Problems">In the order of the document.</param>
public sealed record WorkflowReading(WorkflowDefinition? Definition, IReadOnlyList<WorkflowProblem> Problems);

/// <summary>Reads workflows from YAML or JSON.</summary>
public static partial class WorkflowReader
{
    /// <summary>Reads and checks. Whether agents, workflows and tools exist is for the caller to check: <see cref="WorkflowDefinition.References"/>.</summary>
    /// <param name="source">Untrusted.</param>
    /// <param name="types">The types of steps; those of the platform when null.</param>
    public static WorkflowReading Read(string source, StepTypes? types = null)
    {
        var context = new ReadingContext(types ?? StepTypes.Default);
        WorkflowDefinition? definition = SourceReader.Read(source, context.Problems) is { } node ? Document(node, context) : null;
        return context.Problems.Count == 0
            ? new WorkflowReading(definition, [])
            : new WorkflowReading(null, [.. context.Problems.Distinct().OrderBy(p => p.Line).ThenBy(p => p.Column)]);
    }

    /// <summary>The document as JSON; null when it cannot be read.</summary>
    /// <param name="source">Untrusted.</param>
    public static JsonElement? ToJson(string source) => SourceReader.Read(source, []) is { } node ? node.ToJson() : null;

    /// <summary>Any document in YAML or JSON as JSON; null, with the first problem, when it cannot be read.</summary>
    /// <param name="source">Untrusted.</param>
    /// <param name="problem">What is wrong.</param>
    public static JsonElement? ToJson(string source, out WorkflowProblem? problem)
    {
        var problems = new List<WorkflowProblem>();
        SourceNode? node = SourceReader.Read(source, problems);
        problem = problems.FirstOrDefault();
        return node?.ToJson();
    }

    private static WorkflowDefinition? Document(SourceNode node, ReadingContext context)
    {
        if (node.Kind != JsonValueKind.Object)
        {
            context.Add(node, "", ProblemCodes.WrongType, "A workflow is an object with 'apiVersion', 'kind', 'name' and 'steps'.");
            return null;
        }
        var reader = new StepReader(node, "", context, null, new StepHead { Id = "", Type = "", Line = 1, Column = 1 });
        if (reader.Text("apiVersion", required: true) is { } version && version != WorkflowDefinition.ApiVersion) reader.Problem("apiVersion", ProblemCodes.InvalidValue, $"must be '{WorkflowDefinition.ApiVersion}'.");
        if (reader.Text("kind", required: true) is { } kind && kind != WorkflowDefinition.Kind) reader.Problem("kind", ProblemCodes.InvalidValue, $"must be '{WorkflowDefinition.Kind}'.");
        string? name = reader.Text("name", required: true);
        if (name is not null && !Slug().IsMatch(name)) reader.Problem("name", ProblemCodes.InvalidValue, "must be lower-case letters, digits and dashes, at most 64, beginning with a letter or digit.");
        string? description = reader.Text("description", max: 2000);
        JsonShape? inputs = reader.Schema("inputs");
        JsonShape? outputSchema = reader.Schema("outputSchema");
        WorkflowLimits? limits = reader.Object("limits", l => new WorkflowLimits
        {
            MaxSteps = l.Integer("maxSteps", 1, 100_000) ?? new WorkflowLimits().MaxSteps,
            MaxTokens = l.Long("maxTokens", 1, 1_000_000_000),
            MaxCostUsd = l.Money("maxCostUsd"),
            MaxSeconds = l.Integer("maxSeconds", 1, (int)StepReader.LongestWait),
        });
        context.Blackboard = BlackboardReader.Read(reader, context);
        IReadOnlyList<Step> steps = reader.List("steps", required: true, 1, int.MaxValue) is { } list ? StepListReader.Read(list, "steps", context, null, null) : [];
        var output = reader.OptionalValue("output");
        reader.Finish();
        VariableCheck.Run(context, inputs);
        return new WorkflowDefinition
        {
            Name = name ?? "",
            Description = description,
            Inputs = inputs,
            Output = output,
            OutputSchema = outputSchema,
            Blackboard = context.Blackboard,
            Limits = limits ?? new WorkflowLimits(),
            Steps = steps,
            ById = context.Steps,
            References = context.References,
        };
    }

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,63}$")]
    private static partial Regex Slug();
}
