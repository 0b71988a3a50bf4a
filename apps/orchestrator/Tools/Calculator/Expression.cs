using System.Globalization;

namespace MultiAgent.Orchestrator.Tools.Calculator;

/// <summary>An expression cannot be evaluated; the message names the position, counted from 1.</summary>
internal sealed class ExpressionException(string message) : Exception(message);

/// <summary>
/// Arithmetic by recursive descent. From loosest to tightest: + and -, then * / %, then unary minus, then ^ which is right
/// associative (so -2^2 is -4 and 2^3^2 is 512), then calls and parentheses.
/// </summary>
internal ref struct Expression
{
    public const int MaxLength = 1_000;
    public const int MaxDepth = 100;

    private readonly ReadOnlySpan<char> _text;
    private int _position;
    private int _depth;

    private Expression(ReadOnlySpan<char> text) => _text = text;

    /// <param name="text">Untrusted.</param>
    /// <exception cref="ExpressionException">It does not parse, has no value, or is too long or too deep.</exception>
    public static Number Evaluate(string text)
    {
        if (text.Length > MaxLength) throw new ExpressionException($"The expression is longer than {MaxLength} characters.");
        var expression = new Expression(text);
        Number result = expression.Sum();
        if (expression.Peek() is not '\0') throw expression.Unexpected();
        if (!double.IsFinite(result.Value)) throw new ExpressionException("The result is not a finite number.");
        return result;
    }

    private Number Sum()
    {
        Number left = Product();
        while (true)
        {
            if (Take('+')) left = Number.Add(left, Product());
            else if (Take('-')) left = Number.Subtract(left, Product());
            else return left;
        }
    }

    private Number Product()
    {
        Number left = Unary();
        while (true)
        {
            if (Take('*')) left = Number.Multiply(left, Unary());
            else if (Take('/')) left = Number.Divide(left, Divisor());
            else if (Take('%')) left = Number.Remainder(left, Divisor());
            else return left;
        }
    }

    private Number Divisor()
    {
        int at = _position;
        Number divisor = Unary();
        return divisor.Value == 0 ? throw new ExpressionException($"Division by zero at position {at}.") : divisor;
    }

    private Number Unary()
    {
        Enter();
        Number result = Take('-') ? Unary().Negate() : Take('+') ? Unary() : Power();
        _depth--;
        return result;
    }

    private Number Power()
    {
        int at = _position + 1;
        Number left = Primary();
        if (!Take('^')) return left;
        Number right = Unary();
        return Checked(Number.Power(left, right), "The power", at);
    }

    private Number Primary()
    {
        char next = Peek();
        if (next is '(')
        {
            _position++;
            Enter();
            Number inner = Sum();
            _depth--;
            Expect(')');
            return inner;
        }
        if (char.IsAsciiDigit(next) || next is '.') return Literal();
        if (char.IsAsciiLetter(next)) return Named();
        throw Unexpected();
    }

    private Number Literal()
    {
        int start = _position;
        while (_position < _text.Length && (char.IsAsciiDigit(_text[_position]) || _text[_position] == '.')) _position++;
        if (_position < _text.Length && _text[_position] is 'e' or 'E')
        {
            int exponent = _position + 1;
            if (exponent < _text.Length && _text[exponent] is '+' or '-') exponent++;
            if (exponent < _text.Length && char.IsAsciiDigit(_text[exponent]))
            {
                while (exponent < _text.Length && char.IsAsciiDigit(_text[exponent])) exponent++;
                _position = exponent;
            }
        }
        ReadOnlySpan<char> literal = _text[start.._position];
        if (double.TryParse(literal, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value))
        {
            // A decimal has 28 digits; what would be rounded to zero in it stays a double.
            return decimal.TryParse(literal, NumberStyles.Float, CultureInfo.InvariantCulture, out decimal exact) && (exact != 0 || value == 0)
                ? Number.Of(exact)
                : Number.Of(value);
        }
        throw new ExpressionException($"'{literal}' at position {start + 1} is not a number.");
    }

    private Number Named()
    {
        int start = _position;
        while (_position < _text.Length && char.IsAsciiLetterOrDigit(_text[_position])) _position++;
        string name = _text[start.._position].ToString().ToLowerInvariant();
        if (Peek() is not '(')
        {
            return name switch
            {
                "pi" => Number.Of(Math.PI),
                "e" => Number.Of(Math.E),
                _ => throw new ExpressionException($"'{name}' at position {start + 1} is neither a constant nor followed by '('. Constants are pi and e."),
            };
        }
        _position++;
        Enter();
        var arguments = new List<Number>();
        if (Peek() is not ')')
        {
            do arguments.Add(Sum());
            while (Take(','));
        }
        _depth--;
        Expect(')');
        return Checked(Functions.Call(name, arguments, start + 1), $"{name}(…)", start + 1);
    }

    private static Number Checked(Number value, string what, int at) =>
        double.IsNaN(value.Value) ? throw new ExpressionException($"{what} at position {at} has no real value.")
        : double.IsInfinity(value.Value) ? throw new ExpressionException($"{what} at position {at} is too large or infinite.")
        : value;

    private void Enter()
    {
        if (++_depth > MaxDepth) throw new ExpressionException($"The expression is nested deeper than {MaxDepth} levels at position {_position + 1}.");
    }

    private char Peek()
    {
        while (_position < _text.Length && char.IsWhiteSpace(_text[_position])) _position++;
        return _position < _text.Length ? _text[_position] : '\0';
    }

    private bool Take(char expected)
    {
        if (Peek() != expected) return false;
        _position++;
        return true;
    }

    private void Expect(char expected)
    {
        if (!Take(expected)) throw new ExpressionException(Peek() is '\0' ? $"'{expected}' is missing at the end." : $"'{expected}' is missing at position {_position + 1}.");
    }

    private ExpressionException Unexpected()
    {
        char next = Peek();
        return new ExpressionException(next is '\0' ? "The expression ends where a value is expected." : $"Unexpected '{next}' at position {_position + 1}.");
    }
}
