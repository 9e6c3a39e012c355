'use strict';
(function () {
    var report = JSON.parse(document.getElementById('report').textContent);
    var explorer = document.getElementById('explorer');
    var matrix = document.getElementById('matrix');
    var classes = document.getElementById('classes');
    var controls = document.getElementById('controls');
    if (report === null || matrix === null) {
        return;
    }

    function make(tag, name, text) {
        var element = document.createElement(tag);
        if (name) { element.className = name; }
        if (text !== undefined) { element.textContent = text; }
        return element;
    }
    function drawing(tag, attributes) {
        var element = document.createElementNS('http://www.w3.org/2000/svg', tag);
        Object.keys(attributes).forEach(function (key) { element.setAttribute(key, attributes[key]); });
        return element;
    }
    /* null: withheld by a site. A sum with one of them is withheld too. */
    function percent(part, whole) {
        return part === null || !whole ? '–' : (100 * part / whole).toFixed(1) + ' %';
    }
    function count(number) { return number === null ? '–' : String(number).replace(/\B(?=(\d{3})+$)/g, ','); }
    function sum(list) {
        return list.reduce(function (a, b) { return a === null || b === null ? null : a + b; }, 0);
    }
    function shown(list) { return list.reduce(function (a, b) { return a + b; }, 0); }

    /* Whose matrix, in the order of the buttons; only those that were released in at least one round. */
    var scopes = [{ name: 'Pooled', about: 'the shared model on the test rows of all sites that answered',
                    in: function (round) { return round.pooled; } }];
    report.sites.forEach(function (site, i) {
        scopes.push({ name: site.name, about: 'this site’s own model after local training, on its own test rows',
                      in: function (round) { return round.sites[i]; } });
    });
    scopes.push({ name: 'Global test',
                  about: report.averaged === null ? 'the shared model on the researcher’s own test rows'
                      : 'the model after this round, not the mean of the last ones that is the result, on the researcher’s own test rows',
                  in: function (round) { return round.global_test; } });
    scopes.forEach(function (scope) {
        scope.of = function (round) { return scope.in(round) && scope.in(round).confusion; };
    });
    scopes = scopes.filter(function (scope) { return report.rounds.some(scope.of); });
    if (scopes.length === 0) {
        return;
    }
    var scope = 0;
    var at = report.rounds.length - 1;
    while (at > 0 && !scopes[0].of(report.rounds[at])) { at -= 1; }
    var last = at;

    /* Shades: see the style sheet. */
    function shade(value, row, right) {
        if (!value) { return 'z'; }
        var share = value / row;
        var level = Math.ceil((right ? share : Math.sqrt(4 * share)) * 10);
        return (right ? 'd' : 'e') + Math.min(10, Math.max(1, level));
    }

    function drawMatrix(counts, caption) {
        var table = make('table', 'matrix' + (counts.length > 20 ? ' dense' : ''));
        var title = make('caption');
        title.appendChild(make('b', '', caption[0]));
        title.appendChild(document.createTextNode(caption[1]));
        table.appendChild(title);
        var head = make('thead');
        var axis = make('tr');
        axis.appendChild(make('th', 'axis side', 'true ↓'));
        var across = make('th', 'axis', 'predicted →');
        across.colSpan = counts.length;
        axis.appendChild(across);
        head.appendChild(axis);
        var names = make('tr');
        names.appendChild(make('td', ''));
        counts.forEach(function (row, j) {
            var name = make('th', 'k', String(j));
            name.scope = 'col';
            names.appendChild(name);
        });
        head.appendChild(names);
        table.appendChild(head);
        var body = make('tbody');
        counts.forEach(function (row, i) {
            var line = make('tr');
            var name = make('th', '', String(i));
            name.scope = 'row';
            line.appendChild(name);
            var whole = shown(row);
            row.forEach(function (value, j) {
                var cell = make('td', shade(value, whole, i === j), value === null ? '–' : String(value));
                if (value === null) { cell.title = 'withheld: below the site’s minimum'; }
                cell.dataset.i = i;
                cell.dataset.j = j;
                line.appendChild(cell);
            });
            body.appendChild(line);
        });
        table.appendChild(body);
        matrix.replaceChildren(table);
    }

    function bar(part, whole, name) {
        var picture = drawing('svg', { 'class': 'bar', viewBox: '0 0 100 4', preserveAspectRatio: 'none',
                                       'aria-hidden': 'true' });
        picture.appendChild(drawing('rect', { 'class': 'track', width: 100, height: 4 }));
        picture.appendChild(drawing('rect', { 'class': name, width: part === null || !whole ? 0 : (100 * part / whole).toFixed(1),
                                              height: 4 }));
        var cell = make('td', 'b');
        cell.appendChild(picture);
        return cell;
    }

    function drawClasses(counts) {
        var body = make('tbody');
        counts.forEach(function (row, i) {
            var given = sum(counts.map(function (other) { return other[i]; }));
            var whole = sum(row);
            var line = make('tr');
            var name = make('th', '', String(i));
            name.scope = 'row';
            line.appendChild(name);
            line.appendChild(make('td', '', count(whole)));
            line.appendChild(make('td', '', percent(row[i], whole)));
            line.appendChild(bar(row[i], whole, 'fill'));
            line.appendChild(make('td', '', percent(row[i], given)));
            line.appendChild(bar(row[i], given, 'fill p'));
            body.appendChild(line);
        });
        classes.querySelector('tbody').replaceWith(body);
        drawMistakes(counts);
    }

    function drawMistakes(counts) {
        var list = classes.querySelector('.mistakes');
        var all = [];
        counts.forEach(function (row, i) {
            row.forEach(function (value, j) {
                if (i !== j && value > 0) { all.push([value, i, j, sum(row)]); }
            });
        });
        all.sort(function (a, b) { return b[0] - a[0] || a[1] - b[1] || a[2] - b[2]; });
        list.replaceChildren();
        all.slice(0, 5).forEach(function (one) {
            var line = make('li');
            line.appendChild(make('span', '', one[1] + ' taken for ' + one[2]));
            line.appendChild(make('span', '', count(one[0]) + ' rows, ' + percent(one[0], one[3]) + ' of class ' + one[1]));
            list.appendChild(line);
        });
        if (all.length === 0) {
            list.appendChild(make('li', '', sum(counts.map(sum)) === null ? 'None that the sites tell of.' : 'None.'));
        }
    }

    var readout = make('p', 'readout');
    var hint = 'Point at a cell to read it. Arrow keys ← → step through the rounds.';
    readout.textContent = hint;
    matrix.after(readout);

    function draw() {
        var round = report.rounds[at];
        var counts = scopes[scope].of(round);
        output.value = 'Round ' + round.round + ' of ' + report.rounds_planned;
        slider.value = String(at);
        slider.setAttribute('aria-valuetext', output.value);
        back.disabled = at === 0;
        next.disabled = at === report.rounds.length - 1;
        readout.textContent = hint;
        classes.hidden = !counts;
        if (!counts) {
            matrix.replaceChildren(make('p', '', scopes[scope].name + ', round ' + round.round + ': not released.'));
            return;
        }
        var part = scopes[scope].in(round);
        var whole = part.test_rows;
        var share = part.accuracy === undefined ? part.test_accuracy : part.accuracy;
        var accuracy = whole === 0 ? 'no rows' : share === null ? 'accuracy withheld' : (100 * share).toFixed(2) + ' % right';
        drawMatrix(counts, [scopes[scope].name + ', round ' + round.round + ': ' + accuracy + ' of ' + count(whole) + ' rows',
                            ' – ' + scopes[scope].about + '.']);
        drawClasses(counts);
    }

    function go(to) {
        at = Math.min(report.rounds.length - 1, Math.max(0, to));
        draw();
    }

    /* A few scopes are buttons, many are a list. */
    function choices() {
        var box = make('fieldset', 'scope');
        box.appendChild(make('legend', '', 'Of'));
        scopes.forEach(function (one, i) {
            var label = make('label', 'choice');
            var input = make('input');
            input.type = 'radio';
            input.name = 'scope';
            input.checked = i === scope;
            input.addEventListener('change', function () { scope = i; draw(); });
            label.appendChild(input);
            label.appendChild(make('span', '', one.name));
            box.appendChild(label);
        });
        return box;
    }
    function list() {
        var box = make('div', 'scope');
        var label = make('label', '', 'Of ');
        var select = make('select');
        scopes.forEach(function (one, i) {
            var option = make('option', '', one.name);
            option.value = String(i);
            select.appendChild(option);
        });
        select.addEventListener('change', function () { scope = Number(select.value); draw(); });
        label.appendChild(select);
        box.appendChild(label);
        return box;
    }

    function button(sign, name, by) {
        var element = make('button', '', sign);
        element.type = 'button';
        element.setAttribute('aria-label', name);
        element.addEventListener('click', function () { go(at + by); });
        return element;
    }

    var step = make('div', 'step');
    var label = make('label', '', 'Round');
    var slider = make('input');
    var output = make('output');
    var back = button('‹', 'Previous round', -1);
    var next = button('›', 'Next round', 1);
    slider.type = 'range';
    slider.id = 'round';
    slider.min = '0';
    slider.max = String(report.rounds.length - 1);
    slider.step = '1';
    label.htmlFor = 'round';
    output.htmlFor.add('round');
    slider.addEventListener('input', function () { go(Number(slider.value)); });
    [label, back, slider, next, output].forEach(function (part) { step.appendChild(part); });
    controls.appendChild(scopes.length > 6 ? list() : choices());
    controls.appendChild(step);
    controls.hidden = false;

    matrix.addEventListener('pointerover', function (event) {
        var cell = event.target.closest('td[data-i]');
        if (cell === null) { return; }
        var i = Number(cell.dataset.i);
        var j = Number(cell.dataset.j);
        var row = scopes[scope].of(report.rounds[at])[i];
        readout.textContent = 'True class ' + i + (i === j ? ', recognised: ' : ', taken for ' + j + ': ') +
            (row[j] === null ? 'withheld' : count(row[j])) + ' of ' + count(sum(row)) + ' rows, ' + percent(row[j], sum(row)) + '.';
    });
    document.addEventListener('keydown', function (event) {
        var busy = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest('input, select, .scroll');
        if (busy || (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight')) { return; }
        event.preventDefault();
        go(at + (event.key === 'ArrowLeft' ? -1 : 1));
    });
    /* Paper shows what a page without scripts shows: the first scope, the last round; and the whole job. */
    var seen = null;
    var details = document.querySelector('details');
    window.addEventListener('beforeprint', function () {
        seen = [scope, at, details.open];
        details.open = true;
        scope = 0;
        go(last);
    });
    window.addEventListener('afterprint', function () {
        scope = seen[0];
        details.open = seen[2];
        go(seen[1]);
    });
    draw();
    explorer.classList.add('live');
}());
