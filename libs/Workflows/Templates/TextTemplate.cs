using Fluid.Ast;

namespace MultiAgent.Workflows.Templates;

/// <summary>A text with Liquid in it.</summary>
public sealed class TextTemplate
{
    private readonly IReadOnlyList<Statement>? _statements;

    private TextTemplate(string source, TemplateOrigin origin, IReadOnlyList<Statement>? statements)
    {
        Source = source;
        Origin = origin;
        _statements = statements;
    }

    /// <summary>A stand-in for what could not be read.</summary>
    public static TextTemplate Empty { get; } = new("", new TemplateOrigin("", ""), null);

    /// <summary>As written.</summary>
    public string Source { get; }

    public TemplateOrigin Origin { get; }

    internal Expression? SingleExpression => _statements is [OutputStatement output] ? output.Expression : null;

    /// <summary>It is the same text in every scope.</summary>
    public bool IsConstant => _statements is null;

    /// <summary>The text in a scope.</summary>
    /// <exception cref="WorkflowTemplateException">It could not be made.</exception>
    public string Evaluate(WorkflowScope scope) => _statements is null ? Source : Liquid.Run(Origin, () => Liquid.Render(_statements, scope));

    public override string ToString() => Source;

    internal static TextTemplate? TryParse(string source, TemplateOrigin origin, List<VariableUse> uses, out TemplateError? error)
    {
        error = null;
        if (!HasTags(source)) return new TextTemplate(source, origin, null);
        return Liquid.Parse(source, uses, out error) is { } statements ? new TextTemplate(source, origin, statements) : null;
    }

    internal static bool HasTags(string source) => source.Contains("{{", StringComparison.Ordinal) || source.Contains("{%", StringComparison.Ordinal);
}
