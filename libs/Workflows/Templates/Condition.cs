using Fluid;
using Fluid.Ast;

namespace MultiAgent.Workflows.Templates;

/// <summary>A Liquid expression that is true or false: what may stand in an <c>if</c>.</summary>
public sealed class Condition
{
    private const string Before = "{% if ";
    private const int MaxLength = 4000;

    private readonly Expression? _expression;
    private readonly bool _constant;
    private readonly TemplateOrigin _origin;

    private Condition(string source, TemplateOrigin origin, Expression? expression, bool constant)
    {
        Source = source;
        _origin = origin;
        _expression = expression;
        _constant = constant;
    }

    public static Condition Always { get; } = new("true", new TemplateOrigin("", ""), null, true);

    public static Condition Never { get; } = new("false", new TemplateOrigin("", ""), null, false);

    /// <summary>As written.</summary>
    public string Source { get; }

    /// <exception cref="WorkflowTemplateException">It could not be evaluated.</exception>
    public bool Evaluate(WorkflowScope scope)
    {
        if (_expression is null) return _constant;
        return Liquid.Run(_origin, () =>
        {
            TemplateContext context = Liquid.Open(scope);
            return Liquid.Complete(_expression.EvaluateAsync(context)).ToBooleanValue();
        });
    }

    public override string ToString() => Source;

    /// <summary>A condition over the given variables.</summary>
    /// <param name="source">E.g. <c>args.amount &gt; 100</c>.</param>
    /// <param name="variables">Names that may be used.</param>
    /// <param name="error">What is wrong, for people; null when the condition is returned.</param>
    public static Condition? TryParse(string source, IReadOnlyCollection<string> variables, out string? error)
    {
        var uses = new List<VariableUse>();
        Condition? condition = TryParse(source, new TemplateOrigin("", "when"), uses, out TemplateError? wrong);
        error = wrong?.Message;
        if (condition is not null && uses.FirstOrDefault(u => !variables.Contains(u.Root)) is { } unknown)
        {
            error = $"There is no variable '{unknown.Root}'; there is {string.Join(", ", variables)}.";
            return null;
        }
        return condition;
    }

    internal static Condition? TryParse(string source, TemplateOrigin origin, List<VariableUse> uses, out TemplateError? error)
    {
        error = null;
        if (string.IsNullOrWhiteSpace(source)) error = new TemplateError("The condition is empty.", 0);
        else if (source.Length > MaxLength) error = new TemplateError($"A condition may have {MaxLength} characters.", 0);
        else if (TextTemplate.HasTags(source) || source.Contains("%}", StringComparison.Ordinal)) error = new TemplateError("A condition is an expression without '{{ }}' and '{% %}', e.g. \"inputs.total > 100\".", 0);
        if (error is not null) return null;

        var found = new List<VariableUse>();
        IReadOnlyList<Statement>? statements = Liquid.Parse($"{Before}{source} %}}1{{% endif %}}", found, out error);
        if (error is not null) error = error with { Message = error.Message.Replace("template", "condition", StringComparison.Ordinal), Offset = Math.Clamp(error.Offset - Before.Length, 0, source.Length) };
        if (statements is null) return null;
        uses.AddRange(found.Select(u => u with { Offset = Math.Max(0, u.Offset - Before.Length) }));
        if (statements is [IfStatement { ElseIfs: null or { Count: 0 }, Else: null } statement]) return new Condition(source, origin, statement.Condition, false);
        error = new TemplateError("Not a valid condition.", 0);
        return null;
    }
}
