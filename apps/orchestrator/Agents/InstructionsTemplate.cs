using System.Globalization;
using System.Text.Json;
using Fluid;
using Fluid.Ast;
using Fluid.Values;

namespace MultiAgent.Orchestrator.Agents;

/// <summary>Instructions as a parsed Liquid template with declared variables. Tenants write them, so rendering is bounded.</summary>
internal sealed class InstructionsTemplate
{
    private const int MaxRenderSteps = 10_000;

    private static readonly FluidParser Parser = new();
    private static readonly TemplateOptions Options = new() { MaxSteps = MaxRenderSteps, MaxRecursion = 20 };

    private readonly IFluidTemplate? _template;
    private readonly IReadOnlyList<AgentVariable> _variables;

    private InstructionsTemplate(string? constant, IFluidTemplate? template, IReadOnlyList<AgentVariable> variables)
    {
        Constant = constant;
        _template = template;
        _variables = variables;
    }

    /// <summary>The text, where it holds no template tags.</summary>
    public string? Constant { get; }

    /// <summary>Parses; null with what is wrong when it does not parse or uses what is not declared.</summary>
    public static InstructionsTemplate? TryParse(string source, IReadOnlyList<AgentVariable> variables, List<string> errors)
    {
        if (!source.Contains("{{", StringComparison.Ordinal) && !source.Contains("{%", StringComparison.Ordinal))
            return new InstructionsTemplate(source, null, variables);
        if (!Parser.TryParse(source, out IFluidTemplate? template, out string? error))
        {
            errors.Add($"is not a valid Liquid template: {error}");
            return null;
        }
        var names = new NameCollector();
        names.VisitTemplate(template);
        string[] undeclared = [.. names.Used.Except(names.Assigned).Except(variables.Select(v => v.Name ?? "")).Order(StringComparer.Ordinal)];
        if (undeclared.Length > 0)
        {
            errors.Add($"uses undeclared variables: {string.Join(", ", undeclared)}. Declare them in 'variables'.");
            return null;
        }
        return new InstructionsTemplate(null, template, variables);
    }

    /// <summary>Checks given values against the declaration: unknown names, missing required ones, wrong kinds.</summary>
    public IReadOnlyList<string> Check(IReadOnlyDictionary<string, JsonElement>? values)
    {
        var errors = new List<string>();
        foreach ((string name, JsonElement value) in values ?? new Dictionary<string, JsonElement>())
        {
            if (_variables.All(v => v.Name != name)) errors.Add($"'{name}' is not a variable of this agent.");
            else if (!IsScalar(value)) errors.Add($"'{name}' must be a string, number or boolean.");
        }
        foreach (AgentVariable variable in _variables)
        {
            if (variable is { Required: true, Default: null } && values?.ContainsKey(variable.Name!) != true)
                errors.Add($"'{variable.Name}' is required.");
        }
        return errors;
    }

    /// <summary>The text for the given values; defaults where a value is missing.</summary>
    public string Render(IReadOnlyDictionary<string, JsonElement>? values)
    {
        if (Constant is not null) return Constant;
        var context = new TemplateContext(Options);
        foreach (AgentVariable variable in _variables)
        {
            JsonElement? value = values is not null && values.TryGetValue(variable.Name!, out JsonElement given) ? given : variable.Default;
            context.SetValue(variable.Name!, ToFluid(value));
        }
        return _template!.Render(context);
    }

    public static bool IsScalar(JsonElement value) =>
        value.ValueKind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False;

    private static FluidValue ToFluid(JsonElement? value) => value?.ValueKind switch
    {
        JsonValueKind.String => new StringValue(value.Value.GetString()!, encode: false),
        JsonValueKind.Number => value.Value.TryGetDecimal(out decimal number)
            ? NumberValue.Create(number)
            : new StringValue(value.Value.GetDouble().ToString(CultureInfo.InvariantCulture)),
        JsonValueKind.True => BooleanValue.True,
        JsonValueKind.False => BooleanValue.False,
        _ => NilValue.Instance,
    };

    private sealed class NameCollector : AstVisitor
    {
        public HashSet<string> Used { get; } = new(StringComparer.Ordinal);

        public HashSet<string> Assigned { get; } = new(["forloop", "tablerowloop", "empty", "blank", "nil"], StringComparer.Ordinal);

        protected override Expression VisitMemberExpression(MemberExpression memberExpression)
        {
            if (memberExpression.Segments is [IdentifierSegment first, ..]) Used.Add(first.Identifier);
            return base.VisitMemberExpression(memberExpression);
        }

        protected override Statement VisitAssignStatement(AssignStatement assignStatement)
        {
            Assigned.Add(assignStatement.Identifier);
            return base.VisitAssignStatement(assignStatement);
        }

        protected override Statement VisitCaptureStatement(CaptureStatement captureStatement)
        {
            Assigned.Add(captureStatement.Identifier);
            return base.VisitCaptureStatement(captureStatement);
        }

        protected override Statement VisitForStatement(ForStatement forStatement)
        {
            Assigned.Add(forStatement.Identifier);
            return base.VisitForStatement(forStatement);
        }

        protected override Statement VisitTableRowStatement(TableRowStatement tableRowStatement)
        {
            Assigned.Add(tableRowStatement.Identifier);
            return base.VisitTableRowStatement(tableRowStatement);
        }
    }
}
