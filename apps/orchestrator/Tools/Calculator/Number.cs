using System.Globalization;

namespace MultiAgent.Orchestrator.Tools.Calculator;

/// <summary>
/// A number that is an exact decimal as long as it can be, and a double once it has to be: money stays exact
/// (0.1 + 0.2 = 0.3), and large or irrational values still work.
/// </summary>
internal readonly struct Number
{
    private readonly decimal _exact;
    private readonly double _value;

    private Number(decimal exact, double value, bool isExact) => (_exact, _value, IsExact) = (exact, value, isExact);

    public bool IsExact { get; }

    public decimal Exact => _exact;

    public double Value => IsExact ? (double)_exact : _value;

    public static Number Of(decimal value) => new(value, 0, true);

    public static Number Of(double value) => new(0, value, false);

    public static Number Add(Number a, Number b) => Combine(a, b, static (x, y) => x + y, static (x, y) => x + y);

    public static Number Subtract(Number a, Number b) => Combine(a, b, static (x, y) => x - y, static (x, y) => x - y);

    public static Number Multiply(Number a, Number b)
    {
        // A decimal loses digits silently below 1e-28: a product that comes out as zero without a zero factor is taken again as double.
        Number product = Combine(a, b, static (x, y) => x * y, static (x, y) => x * y);
        return product is { IsExact: true, Exact: 0 } && a.Value != 0 && b.Value != 0 ? Of(a.Value * b.Value) : product;
    }

    public static Number Divide(Number a, Number b)
    {
        Number quotient = Combine(a, b, static (x, y) => x / y, static (x, y) => x / y);
        return quotient is { IsExact: true, Exact: 0 } && a.Value != 0 ? Of(a.Value / b.Value) : quotient;
    }

    public static Number Remainder(Number a, Number b) => Combine(a, b, static (x, y) => x % y, static (x, y) => x % y);

    public Number Negate() => IsExact ? Of(-_exact) : Of(-_value);

    /// <summary>Whole exponents of exact numbers are multiplied out exactly; all else is a double.</summary>
    public static Number Power(Number a, Number b)
    {
        if (a.IsExact && b.IsExact && b.Exact == decimal.Truncate(b.Exact) && Math.Abs(b.Exact) <= 1000)
        {
            try
            {
                decimal result = 1, factor = a.Exact;
                for (int n = (int)Math.Abs(b.Exact); n > 0; n >>= 1)
                {
                    if ((n & 1) == 1) result *= factor;
                    if (n > 1) factor *= factor;
                }
                if (b.Exact < 0) result = 1 / result;
                if (result != 0 || a.Exact == 0) return Of(result);
            }
            catch (Exception e) when (e is OverflowException or DivideByZeroException)
            {
                // too large for a decimal
            }
        }
        return Of(Math.Pow(a.Value, b.Value));
    }

    public override string ToString() => IsExact
        ? (_exact == 0 ? 0m : _exact / 1.0000000000000000000000000000m).ToString("0.############################", CultureInfo.InvariantCulture)
        : _value.ToString("R", CultureInfo.InvariantCulture);

    private static Number Combine(Number a, Number b, Func<decimal, decimal, decimal> exact, Func<double, double, double> inexact)
    {
        if (a.IsExact && b.IsExact)
        {
            try
            {
                return Of(exact(a.Exact, b.Exact));
            }
            catch (OverflowException)
            {
                // too large for a decimal
            }
        }
        return Of(inexact(a.Value, b.Value));
    }
}
