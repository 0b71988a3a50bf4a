using System.Text.Json;
using System.Text.RegularExpressions;
using MultiAgent.Contracts.Identity;
using MultiAgent.Workflows.Steps;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Reading;

/// <summary>
/// Reads the members of a step, or of an object in it. Where something is wrong a problem is noted and a stand-in returned: the definition is not used then.
/// </summary>
public sealed partial class StepReader : MemberReader
{
    /// <summary>Seconds: 366 days.</summary>
    public const double LongestWait = 31_622_400;

    private static readonly TargetReference NoTarget = new("", null);

    private readonly StepPlace? _place;

    internal StepReader(SourceNode node, string path, ReadingContext context, StepPlace? place, StepHead head) : base(node, path, context)
    {
        _place = place;
        Head = head;
    }

    /// <summary>What all steps have, for the constructor of the record.</summary>
    public StepHead Head { get; internal set; }

    /// <summary>A text with templates; required.</summary>
    /// <param name="name">The member.</param>
    /// <param name="after">It is evaluated when the steps inside of this step have run.</param>
    /// <param name="locals">Variables that it has beyond those of the step.</param>
    public TextTemplate Template(string name, bool after = false, params string[] locals) =>
        Find(name, required: true, "a string", JsonValueKind.String) is { } node ? Template(node, name, after, locals) : TextTemplate.Empty;

    public TextTemplate? OptionalTemplate(string name) =>
        Find(name, required: false, "a string", JsonValueKind.String) is { } node ? Template(node, name, after: false, []) : null;

    /// <summary>A value with templates; required.</summary>
    public ValueTemplate Value(string name) => Any(name, required: true) is { } node ? Value(node, name) : ValueTemplate.Null;

    public ValueTemplate? OptionalValue(string name) => Any(name, required: false) is { } node ? Value(node, name) : null;

    /// <summary>An object of values with templates.</summary>
    public ValueTemplate? Values(string name) => Find(name, required: false, "an object", JsonValueKind.Object) is { } node ? Value(node, name) : null;

    /// <summary>Values with templates by the name of the entry of the blackboard that each is written to, when the step is done; <c>output</c> is at hand.</summary>
    internal IReadOnlyDictionary<string, ValueTemplate> Writes(string name)
    {
        var writes = new Dictionary<string, ValueTemplate>(StringComparer.Ordinal);
        if (Find(name, required: false, "an object of values by entry of the blackboard", JsonValueKind.Object) is not { } node) return writes;
        foreach (SourceMember member in node.Members)
        {
            string path = $"{At(name)}.{member.Name}";
            if (!Context.Blackboard.ContainsKey(member.Name)) Context.Problems.Add(new WorkflowProblem(member.Line, member.Column, path, ProblemCodes.UnknownVariable, $"'{Shown(member.Name)}' is not declared in 'blackboard'.{Suggestion.For(member.Name, Context.Blackboard.Keys)}"));
            writes[member.Name] = ValueTemplate.Read(member.Value, Head.Id, path, (template, error, part, place, uses) => Keep(template, error, part, place, after: true, ["output"], uses));
        }
        return writes;
    }

    public Condition Condition(string name, bool after = false, params string[] locals)
    {
        if (Find(name, required: true, "a condition: text or true or false", JsonValueKind.String, JsonValueKind.True, JsonValueKind.False) is not { } node) return Templates.Condition.Always;
        if (node.Kind != JsonValueKind.String) return node.Kind == JsonValueKind.True ? Templates.Condition.Always : Templates.Condition.Never;
        var uses = new List<VariableUse>();
        Condition? condition = Templates.Condition.TryParse(node.Text, Origin(name), uses, out TemplateError? error);
        return Keep(condition, error, node, At(name), after, locals, uses) ?? Templates.Condition.Always;
    }

    /// <summary>An agent; required.</summary>
    public TargetReference Agent(string name) => Target(name, ReferenceKind.Agent, Find(name, required: true, "the slug of an agent", JsonValueKind.String), At(name));

    /// <summary>A list of agents; required.</summary>
    public IReadOnlyList<TargetReference> Agents(string name, int min, int max) =>
        List(name, required: true, min, max) is { } list ? [.. list.Items.Select((item, i) => Target(name, ReferenceKind.Agent, item, $"{At(name)}[{i}]"))] : [];

    /// <summary>A workflow; required.</summary>
    public TargetReference Workflow(string name) => Target(name, ReferenceKind.Workflow, Find(name, required: true, "the slug of a workflow", JsonValueKind.String), At(name));

    /// <summary>A tool; required.</summary>
    public string Tool(string name)
    {
        if (Name(name, required: true) is not { } tool) return "";
        SourceNode node = Any(name, required: true)!;
        Context.References.Add(new WorkflowReference(ReferenceKind.Tool, tool, At(name), node.Line, node.Column));
        return tool;
    }

    /// <summary>A JSON schema.</summary>
    public JsonShape? Schema(string name)
    {
        if (Find(name, required: false, "a JSON schema", JsonValueKind.Object) is not { } node) return null;
        JsonShape? shape = JsonShape.TryParse(node.ToJson(), out string? error);
        if (error is not null) Context.Add(node, At(name), ProblemCodes.InvalidSchema, error);
        return shape;
    }

    /// <summary>A role in the tenant; <see cref="Contracts.Identity.Role.Admin"/> when it is not there.</summary>
    public Role Role(string name, bool required = false) => OneOf(name, required, ("admin", Contracts.Identity.Role.Admin), ("owner", Contracts.Identity.Role.Owner),
        ("developer", Contracts.Identity.Role.Developer), ("analyst", Contracts.Identity.Role.Analyst), ("viewer", Contracts.Identity.Role.Viewer));

    /// <summary>An object in the step; null when it is not there.</summary>
    public T? Object<T>(string name, Func<StepReader, T> read) where T : class =>
        Find(name, required: false, "an object", JsonValueKind.Object) is { } node ? Read(node, At(name), read) : null;

    /// <summary>A list of objects in the step; required.</summary>
    public IReadOnlyList<T> Objects<T>(string name, int min, int max, Func<StepReader, int, T> read)
    {
        if (List(name, required: true, min, max) is not { } list) return [];
        var result = new List<T>();
        for (int i = 0; i < list.Items.Count; i++)
        {
            int index = i;
            string path = $"{At(name)}[{i}]";
            if (list.Items[i].Kind == JsonValueKind.Object) result.Add(Read(list.Items[i], path, item => read(item, index)));
            else Context.Add(list.Items[i], path, ProblemCodes.WrongType, "must be an object.");
        }
        return result;
    }

    /// <summary>Steps inside of this one; required.</summary>
    /// <param name="name">The member.</param>
    /// <param name="block">The key of the <see cref="StepBlock"/> that they become.</param>
    /// <param name="locals">Variables that these steps have beyond those of this one.</param>
    public IReadOnlyList<Step> Steps(string name, string block, params string[] locals)
    {
        if (List(name, required: true, 1, int.MaxValue) is not { } list) return [];
        Context.Locals.AddRange(locals);
        IReadOnlyList<Step> steps = StepListReader.Read(list, At(name), Context, _place, block);
        Context.Locals.RemoveRange(Context.Locals.Count - locals.Length, locals.Length);
        return steps;
    }

    internal ValueTemplate Value(SourceNode node, string name) => ValueTemplate.Read(node, Head.Id, At(name), (template, error, part, path, uses) => Keep(template, error, part, path, after: false, [], uses));

    internal T Read<T>(SourceNode node, string path, Func<StepReader, T> read)
    {
        var reader = new StepReader(node, path, Context, _place, Head);
        T result = read(reader);
        reader.Finish();
        return result;
    }

    private TextTemplate Template(SourceNode node, string name, bool after, string[] locals)
    {
        var uses = new List<VariableUse>();
        TextTemplate? template = TextTemplate.TryParse(node.Text, Origin(name), uses, out TemplateError? error);
        return Keep(template, error, node, At(name), after, locals, uses) ?? TextTemplate.Empty;
    }

    private T? Keep<T>(T? template, TemplateError? error, SourceNode node, string path, bool after, string[] locals, List<VariableUse> uses) where T : class
    {
        if (error is not null)
        {
            (int line, int column) = node.PlaceOf(error.Offset);
            Context.Problems.Add(new WorkflowProblem(line, column, path, ProblemCodes.InvalidTemplate, error.Message));
        }
        if (uses.Count > 0) Context.Templates.Add(new TemplateUse(node, path, _place, after, [.. Context.Locals, .. locals], uses));
        return template;
    }

    private TemplateOrigin Origin(string name) => new(Head.Id, At(name));

    private TargetReference Target(string name, ReferenceKind kind, SourceNode? node, string path)
    {
        if (node is null) return NoTarget;
        if (node.Kind != JsonValueKind.String || !Reference().IsMatch(node.Text))
        {
            Context.Add(node, path, node.Kind == JsonValueKind.String ? ProblemCodes.InvalidValue : ProblemCodes.WrongType, $"must be the slug of {(kind == ReferenceKind.Agent ? "an agent" : "a workflow")}, and may go on with '@' and the label or number of a version.");
            return NoTarget;
        }
        Context.References.Add(new WorkflowReference(kind, node.Text, path, node.Line, node.Column));
        int at = node.Text.IndexOf('@');
        return at < 0 ? new TargetReference(node.Text, null) : new TargetReference(node.Text[..at], node.Text[(at + 1)..]);
    }

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,63}(@[A-Za-z0-9_-]{1,32})?$")]
    private static partial Regex Reference();
}
