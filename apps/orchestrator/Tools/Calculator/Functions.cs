namespace MultiAgent.Orchestrator.Tools.Calculator;

/// <summary>The functions of the calculator. Exact where the result of exact arguments is.</summary>
internal static class Functions
{
    public static Number Call(string name, List<Number> arguments, int position)
    {
        switch (name)
        {
            case "sqrt": return Sqrt(One());
            case "abs": return One() is { Value: < 0 } negative ? negative.Negate() : arguments[0];
            case "floor": return Exactly(One(), decimal.Floor, Math.Floor);
            case "ceil": return Exactly(One(), decimal.Ceiling, Math.Ceiling);
            case "round": return Round();
            case "sin": return Number.Of(Math.Sin(One().Value));
            case "cos": return Number.Of(Math.Cos(One().Value));
            case "tan": return Number.Of(Math.Tan(One().Value));
            case "ln": return Number.Of(Math.Log(One().Value));
            case "log10": return Number.Of(Math.Log10(One().Value));
            case "exp": return Number.Of(Math.Exp(One().Value));
            case "pow":
                Count(2, 2);
                return Number.Power(arguments[0], arguments[1]);
            case "min":
                Count(1, 100);
                return arguments.MinBy(a => a.Value);
            case "max":
                Count(1, 100);
                return arguments.MaxBy(a => a.Value);
            default:
                throw new ExpressionException($"'{name}' at position {position} is not a function. There are sqrt, abs, min, max, round, floor, ceil, sin, cos, tan, ln, log10, exp and pow.");
        }

        Number One()
        {
            Count(1, 1);
            return arguments[0];
        }

        void Count(int least, int most)
        {
            if (arguments.Count >= least && arguments.Count <= most) return;
            string expected = least == most ? $"{least}" : $"{least} to {most}";
            throw new ExpressionException($"{name} at position {position} takes {expected} argument{(most == 1 ? "" : "s")}, not {arguments.Count}.");
        }

        Number Round()
        {
            Count(1, 2);
            double digits = arguments.Count == 2 ? arguments[1].Value : 0;
            if (digits is < 0 or > 15 || digits != Math.Truncate(digits)) throw new ExpressionException($"round at position {position} takes 0 to 15 digits.");
            return Exactly(arguments[0], x => decimal.Round(x, (int)digits, MidpointRounding.AwayFromZero), x => Math.Round(x, (int)digits, MidpointRounding.AwayFromZero));
        }
    }

    private static Number Sqrt(Number value)
    {
        double root = Math.Sqrt(value.Value);
        if (value.IsExact && root < 1e13)
        {
            // Exact squares have exact roots.
            decimal candidate = decimal.Round((decimal)root, 10);
            if (candidate * candidate == value.Exact) return Number.Of(candidate);
        }
        return Number.Of(root);
    }

    private static Number Exactly(Number value, Func<decimal, decimal> exact, Func<double, double> inexact) =>
        value.IsExact ? Number.Of(exact(value.Exact)) : Number.Of(inexact(value.Value));
}
