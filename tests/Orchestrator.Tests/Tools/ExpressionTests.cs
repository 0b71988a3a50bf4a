using System.Globalization;
using CsCheck;
using MultiAgent.Orchestrator.Tools.Calculator;

namespace MultiAgent.Orchestrator.Tests.Tools;

[Trait("Database", "once")]
public sealed class ExpressionTests
{
    [Theory]
    [InlineData("1+2*3", "7")]
    [InlineData("(1+2)*3", "9")]
    [InlineData("-2^2", "-4")]
    [InlineData("(-2)^2", "4")]
    [InlineData("2^3^2", "512")]
    [InlineData("2^-1", "0.5")]
    [InlineData("0.1+0.2", "0.3")]
    [InlineData("10%4", "2")]
    [InlineData("--3", "3")]
    [InlineData("1e3", "1000")]
    [InlineData(".5*2", "1")]
    [InlineData("sqrt(2)^2 - 2 < 1", null)]
    [InlineData("sqrt(16)", "4")]
    [InlineData("abs(-3.5)", "3.5")]
    [InlineData("min(3, 1, 2) + max(1,2)", "3")]
    [InlineData("round(2.5)", "3")]
    [InlineData("round(1.2345, 2)", "1.23")]
    [InlineData("floor(-1.5)+ceil(1.2)", "0")]
    [InlineData("pow(2,10)", "1024")]
    [InlineData("ln(e)", "1")]
    [InlineData("log10(1000)", "3")]
    [InlineData("sin(0)+cos(0)+tan(0)", "1")]
    [InlineData("exp(0)", "1")]
    [InlineData("99999999999999999999 * 99999999999999999999", "1E+40")]
    [InlineData("1/3*3", "0.9999999999999999999999999999")]
    public void Evaluate_Expression_HasItsValue(string expression, string? expected)
    {
        if (expected is null) Assert.Throws<ExpressionException>(() => Expression.Evaluate(expression));
        else Assert.Equal(expected, Expression.Evaluate(expression).ToString());
    }

    [Theory]
    [InlineData("", "ends where a value is expected")]
    [InlineData("2+", "ends where a value is expected")]
    [InlineData("2 3", "Unexpected '3' at position 3")]
    [InlineData("(1", "')' is missing at the end")]
    [InlineData("1/0", "Division by zero")]
    [InlineData("5%(1-1)", "Division by zero")]
    [InlineData("foo(1)", "'foo' at position 1 is not a function")]
    [InlineData("x+1", "'x' at position 1 is neither a constant")]
    [InlineData("sqrt(-1)", "no real value")]
    [InlineData("sqrt(1,2)", "takes 1 argument, not 2")]
    [InlineData("ln(0)", "too large or infinite")]
    [InlineData("1.2.3", "is not a number")]
    [InlineData("10^999", "too large or infinite")]
    public void Evaluate_Wrong_SaysWhatAndWhere(string expression, string message) =>
        Assert.Contains(message, Assert.Throws<ExpressionException>(() => Expression.Evaluate(expression)).Message);

    [Fact]
    public void Evaluate_TooDeepOrLong_IsRefused()
    {
        Assert.Contains("nested", Assert.Throws<ExpressionException>(() => Expression.Evaluate(new string('(', 400) + "1" + new string(')', 400))).Message);
        Assert.Contains("nested", Assert.Throws<ExpressionException>(() => Expression.Evaluate(new string('-', 900) + "1")).Message);
        Assert.Contains("longer", Assert.Throws<ExpressionException>(() => Expression.Evaluate(new string('1', 1001))).Message);
    }

    [Fact]
    public void Evaluate_RandomTrees_EqualTheirDecimalValue() => Trees(4).Sample(tree =>
        Assert.Equal(tree.Value, decimal.Parse(Expression.Evaluate(tree.Text).ToString(), NumberStyles.Float, CultureInfo.InvariantCulture)));

    [Fact]
    public void Evaluate_RandomText_NeverFailsOtherwise() => Gen.String[Gen.Char["0123456789.+-*/%^(), abepsqrtmin"], 0, 60].Sample(text =>
    {
        try
        {
            Expression.Evaluate(text);
        }
        catch (ExpressionException)
        {
            // the one way to fail
        }
    });

    private static Gen<(string Text, decimal Value)> Trees(int depth)
    {
        Gen<(string, decimal)> leaf = Gen.Int[0, 99].Select(n => ($"{n}", (decimal)n));
        if (depth == 0) return leaf;
        Gen<(string Text, decimal Value)> inner = Trees(depth - 1);
        return Gen.OneOf(leaf,
            Gen.Select(inner, inner, (a, b) => ($"({a.Text} + {b.Text})", a.Value + b.Value)),
            Gen.Select(inner, inner, (a, b) => ($"({a.Text}-{b.Text})", a.Value - b.Value)),
            Gen.Select(inner, inner, (a, b) => ($"{a.Text}*{b.Text}", a.Value * b.Value)).Where(t => Math.Abs(t.Item2) < 1_000_000_000),
            inner.Select(a => ($"(-{a.Text})", -a.Value)));
    }
}
