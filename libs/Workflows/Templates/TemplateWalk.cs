using Fluid.Ast;
using Fluid.Parser;
using Fluid.Values;

namespace MultiAgent.Workflows.Templates;

/// <summary>Finds the variables of a template, and what templates must not have.</summary>
internal sealed class TemplateWalk(string source) : AstVisitor
{
    private const int MaxRange = 10_000;

    private readonly List<VariableUse> _uses = [];
    private readonly HashSet<string> _assigned = new(["forloop", "empty", "blank", "nil", "null", "true", "false"], StringComparer.Ordinal);
    private readonly Dictionary<string, int> _found = [];

    /// <summary>The first thing that is not allowed.</summary>
    public TemplateError? Error { get; private set; }

    /// <summary>The variables that come from outside.</summary>
    public IEnumerable<VariableUse> Uses => _uses.Where(u => !_assigned.Contains(u.Root)).Distinct();

    protected override Expression VisitMemberExpression(MemberExpression memberExpression)
    {
        if (memberExpression.Segments is [IdentifierSegment root, ..])
        {
            string? member = NameOf(memberExpression, 1), third = member is null ? null : NameOf(memberExpression, 2);
            _uses.Add(new VariableUse(root.Identifier, member, third, Offset(third is null ? member is null ? root.Identifier : $"{root.Identifier}.{member}" : $"{root.Identifier}.{member}.{third}", root.Identifier)));
        }
        return base.VisitMemberExpression(memberExpression);
    }

    protected override Statement VisitAssignStatement(AssignStatement assignStatement)
    {
        _assigned.Add(assignStatement.Identifier);
        return base.VisitAssignStatement(assignStatement);
    }

    protected override Statement VisitForStatement(ForStatement forStatement)
    {
        _assigned.Add(forStatement.Identifier);
        return base.VisitForStatement(forStatement);
    }

    // A range is made as a list before the first step is counted.
    protected override Expression VisitRangeExpression(RangeExpression rangeExpression)
    {
        if (rangeExpression.From is not LiteralExpression { Value: NumberValue from } || rangeExpression.To is not LiteralExpression { Value: NumberValue to} || to.ToNumberValue() - from.ToNumberValue() > MaxRange)
            Refuse($"A range must be between two numbers that are at most {MaxRange} apart.", "..");
        return base.VisitRangeExpression(rangeExpression);
    }

    protected override Statement VisitCaptureStatement(CaptureStatement captureStatement) => Refuse(captureStatement, "capture");

    protected override Statement VisitMacroStatement(MacroStatement macroStatement) => Refuse(macroStatement, "macro");

    protected override Statement VisitIncludeStatement(IncludeStatement includeStatement) => Refuse(includeStatement, "include");

    protected override Statement VisitRenderStatement(RenderStatement renderStatement) => Refuse(renderStatement, "render");

    protected override Statement VisitFromStatement(FromStatement fromStatement) => Refuse(fromStatement, "from");

    protected override Statement VisitIfChangedStatement(IfChangedStatement ifChangedStatement) => Refuse(ifChangedStatement, "ifchanged");

    protected override Statement VisitTableRowStatement(TableRowStatement tableRowStatement) => Refuse(tableRowStatement, "tablerow");

    protected override Statement VisitLiquidStatement(LiquidStatement liquidStatement) => Refuse(liquidStatement, "liquid");

    private T Refuse<T>(T statement, string tag)
    {
        Refuse($"The tag '{tag}' is not available.", tag);
        return statement;
    }

    private void Refuse(string message, string near) => Error ??= new TemplateError(message, Math.Max(0, source.IndexOf(near, StringComparison.Ordinal)));

    private static string? NameOf(MemberExpression expression, int index)
    {
        if (expression.Segments.Count <= index) return null;
        return expression.Segments[index] switch
        {
            IdentifierSegment name => name.Identifier,
            IndexerSegment { Expression: LiteralExpression { Value: StringValue text } } => text.ToStringValue(),
            _ => null,
        };
    }

    // The syntax tree has no places: the n-th use of a path is its n-th occurrence in the text.
    private int Offset(string path, string root)
    {
        int from = _found.GetValueOrDefault(path);
        int at = source.IndexOf(path, from, StringComparison.Ordinal);
        if (at < 0) at = source.IndexOf(path, StringComparison.Ordinal);
        if (at < 0) return Math.Max(0, source.IndexOf(root, StringComparison.Ordinal));
        _found[path] = at + 1;
        return at;
    }
}
