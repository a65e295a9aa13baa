#!/usr/bin/env nextflow
// A cohort goes in, the paper's table comes out:
// check -> preprocess -> train (segmentation, pretraining, registration, VoxelMorph) -> register -> evaluate -> report

include { SIMULATE } from './modules/simulate'
include { CHECK_COHORT } from './modules/check_cohort'
include { PREPROCESS } from './modules/preprocess'
include { TRAIN_SEGMENTATION } from './modules/train_segmentation'
include { PRETRAIN } from './modules/pretrain'
include { TRAIN_REGISTRATION } from './modules/train_registration'
include { TRAIN_VOXELMORPH } from './modules/train_voxelmorph'
include { REGISTER ; REGISTER as REGISTER_ALONE } from './modules/register'
include { EVALUATE } from './modules/evaluate'
include { TABULATE } from './modules/tabulate'
include { REPORT } from './modules/report'
include { readSchema ; helpText ; checkedParameters ; refuse ; settingsFor ; quoted } from './modules/parameters'
include { packageDigest ; cohortFingerprint ; listedFiles } from './modules/digests'
include { forgetFailures ; failedTasks ; plannedRegistrations } from './modules/failures'
include { writeRecords ; sayDone ; sayFailed } from './modules/messages'

// Every absolute path in a case.
def filesOf(content) {
    if (content instanceof Map) {
        return filesOf(content.values())
    }
    if (content instanceof Collection) {
        return content.collectMany { part -> filesOf(part) }
    }
    return content instanceof String && content.startsWith('/') ? [file(content)] : []
}

// Names the same output alike in every run: the last two folders.
def place(path) {
    return "${path.parent.name}/${path.name}".toString()
}

// The code behind one method; another method's file does not concern it.
def registrarDigest(method) {
    def files = [identity: 'identity', affine: 'affine', ants: 'ants', voxelmorph: 'voxelmorph', wssamnet: 'wssamnet',
        refinement: 'refined', wssamnet_refined: 'refined']
    def others = files.values().toList().unique() - files[method]
    return packageDigest(projectDir, ['cli/register_cases.py'], ['cli/__init__.py'] + others.collect { name -> "registration/${name}.py".toString() })
}

// Cases in batches, each with an id to read: [[id, ids], cases].
def batches(List cases, int size) {
    return cases.sort { one -> one.id }.collate(size).collect { batch ->
        def more = batch.size() > 1 ? " and ${batch.size() - 1} more" : ''
        [[id: "${batch[0].id}${more}".toString(), ids: batch.collect { one -> one.id }], batch]
    }
}

workflow STUDY {
    take:
    source // tuple: cohort quoted for bash, fingerprint, folders to mount
    values // every parameter in its own type
    schema

    main:
    def settings = ['check', 'preprocess', 'segmentation', 'pretraining', 'registration', 'voxelmorph']
        .collectEntries { step -> [(step): settingsFor(step, values, schema)] }
    def code = ['check', 'preprocess', 'train_segmentation', 'pretrain', 'train_registration', 'train_voxelmorph', 'evaluate', 'tables', 'report']
        .collectEntries { verb -> [(verb): packageDigest(projectDir, ["cli/${verb}.py".toString()], ['cli/__init__.py'])] }
    def methods = values.methods.tokenize(',').collect { name -> name.trim() }
    def split = [values.test_cases ? "--test-cases ${quoted(values.test_cases)}" : null,
        values.folds ? "--folds ${values.folds}" : null,
        values.test_cases || values.folds ? null : "--test-ratio ${values.test_ratio}"].findAll().join(' ')

    CHECK_COHORT(source, "${split} ${settings.check}".toString(), code.check)
    cases = CHECK_COHORT.out.cases.flatten().map { path -> new groovy.json.JsonSlurper().parse(path.toFile()) }
    roles = CHECK_COHORT.out.splits.splitCsv(header: true).map { row -> tuple(row.case, row.fold as int, row.role) }

    to_prepare = cases.toList().flatMap { all -> batches(all, values.cases_per_task) }.map { meta, batch ->
        tuple(meta, batch.collect { one -> groovy.json.JsonOutput.toJson(one) }, filesOf(batch).unique())
    }
    PREPROCESS(to_prepare, settings.preprocess, code.preprocess)
    prepared = PREPROCESS.out.prepared.flatten().map { folder -> tuple(folder.name, folder) }

    // For each fold: [[id, fold], prepared training cases]
    training = roles.filter { row -> row[2] == 'train' }
        .map { row -> tuple(row[0], [id: "fold${row[1]}".toString(), fold: row[1]]) }
        .combine(prepared, by: 0)
        .map { _id, fold, folder -> tuple(fold, folder) }
        .groupTuple()
        .map { fold, folders -> tuple(fold, folders.sort { folder -> folder.name }) }

    // WSSAMNet: two segmentation networks side by side, pretraining, registration
    attentive = methods.findAll { method -> method.startsWith('wssamnet') }
    learning = training.filter { _row -> attentive }
    TRAIN_SEGMENTATION(
        learning.combine(channel.of('fixed', 'moving')).map { fold, folders, side -> tuple(fold, side, folders) },
        settings.segmentation, code.train_segmentation)
    fixed_network = TRAIN_SEGMENTATION.out.model.filter { row -> row[1] == 'fixed' }.map { row -> tuple(row[0], row[2]) }
    moving_network = TRAIN_SEGMENTATION.out.model.filter { row -> row[1] == 'moving' }.map { row -> tuple(row[0], row[2]) }
    segmented = learning.join(fixed_network).join(moving_network)
    PRETRAIN(segmented.filter { _row -> values.pretraining_steps != 0 }, settings.pretraining, code.pretrain)
    started = values.pretraining_steps != 0 ? segmented.join(PRETRAIN.out.model) : segmented.map { row -> row + [[]] }
    TRAIN_REGISTRATION(started, settings.registration, code.train_registration)

    TRAIN_VOXELMORPH(training.filter { _row -> 'voxelmorph' in methods }, settings.voxelmorph, code.train_voxelmorph)

    // [fold, method, model]; fold 0 stands for all folds at once, where nothing is learned
    models = TRAIN_REGISTRATION.out.model.flatMap { fold, model -> attentive.collect { method -> tuple(fold.fold, method, model) } }
        .mix(TRAIN_VOXELMORPH.out.model.map { fold, model -> tuple(fold.fold, 'voxelmorph', model) })
        .mix(channel.fromList(methods - attentive - 'voxelmorph').map { method -> tuple(0, method, []) })
    tests = roles.filter { row -> row[2] == 'test' }
        .flatMap { row -> [0, row[1]].unique().collect { fold -> tuple(row[0], fold) } }
        .unique()
        .combine(prepared, by: 0)
        .map { id, fold, folder -> tuple(fold, [id: id, folder: folder]) }
        .groupTuple()
    to_register = tests.combine(models, by: 0).flatMap { fold, cases_of_fold, method, model ->
        batches(cases_of_fold, values.cases_per_task).collect { meta, batch ->
            tuple(meta + [method: method, fold: fold], batch.collect { one -> one.folder }, model)
        }
    }
    registering = to_register.map { meta, folders, model ->
        def preset = meta.method == 'ants' ? "--ants-preset ${values.ants_preset} " : ''
        tuple(meta, folders, model, preset + settingsFor("register_${meta.method}".toString(), values, schema), registrarDigest(meta.method))
    }
    REGISTER(registering)
    // What a batch has left out, or has lost with its task, each by itself: the others are kept, and the fault has one name.
    alone = registering.join(REGISTER.out.registrations, remainder: true)
        .filter { row -> row[0].ids.size() > 1 }
        .flatMap { meta, folders, model, options, digest, registrations ->
            def done = (registrations ?: []).collect { folder -> folder.name }
            folders.findAll { folder -> !(folder.name in done) }
                .collect { folder -> tuple(meta + [id: folder.name, ids: [folder.name]], [folder], model, options, digest) }
        }
    REGISTER_ALONE(alone)

    // Evaluation sees the registrations, the prepared images and the cases' landmarks, not the method.
    case_by_id = cases.toList().map { all -> all.collectEntries { one -> [(one.id): one] } }
    to_evaluate = REGISTER.out.registrations.mix(REGISTER_ALONE.out.registrations)
        .filter { _meta, registrations -> registrations }
        .join(registering.mix(alone).map { row -> row.take(2) })
        .combine(case_by_id)
        .map { meta, registrations, folders, all ->
            def batch = meta.ids.collect { id -> all[id] }
            def landmarks = batch.collectMany { one -> filesOf([one.fixed?.landmarks, one.moving?.landmarks]) }
            tuple(meta, registrations, folders, batch.collect { one -> groovy.json.JsonOutput.toJson(one) }, landmarks)
        }
    EVALUATE(to_evaluate, code.evaluate)

    // Without any evaluation a stopped run ends here; where all failures were tolerated, the tables say why there is none.
    evaluations = EVALUATE.out.evaluations.flatten().toSortedList { a, b -> place(a) <=> place(b) }
        .filter { all -> all || failedTasks(values.outdir)*.tolerated.unique() == [true] }
    tested = roles.filter { row -> row[2] == 'test' }.map { row -> row.take(2) }.unique().toList()
    planned = evaluations.map { _all -> 'evaluated' }.combine(tested.map { all -> [all] })
        .map { _evaluated, all -> plannedRegistrations(methods, all, failedTasks(values.outdir)) }
    trained = TRAIN_SEGMENTATION.out.model.mix(PRETRAIN.out.model, TRAIN_REGISTRATION.out.model, TRAIN_VOXELMORPH.out.model)
        .map { row -> row.last() }
        .toSortedList { a, b -> place(a) <=> place(b) }
    TABULATE(evaluations, planned, "--error ${values.error}".toString(), code.tables)
    REPORT(TABULATE.out.tables, evaluations, trained, "--title ${quoted(values.report_title)}".toString(), code.report)
}

workflow {
    main:
    def schema = readSchema(projectDir.resolve('nextflow_schema.json'))
    def wf = workflow
    if (params.help) {
        println(helpText(schema))
    }
    else {
        def values = checkedParameters(params, schema)
        if (values.input) {
            def input = file(values.input)
            if (!input.exists()) {
                refuse("--input: ${values.input} does not exist (a folder as BraTSReg lays it out, or a samplesheet CSV)", values.outdir)
            }
            def mounts = input.isDirectory() ? [input] : ([input] + listedFiles(input)).collect { path -> path.toAbsolutePath().parent }.unique()
            source = channel.of(tuple(quoted(input.toAbsolutePath()), cohortFingerprint(input), mounts))
        }
        else if (values.embedded_cohort) {
            SIMULATE(values.cohort_cases, values.cohort_spacing_mm, values.cohort_seed, packageDigest(projectDir, ['cli/simulate.py'], ['cli/__init__.py']))
            source = SIMULATE.out.cohort.map { folder -> tuple(quoted(folder), 'embedded', [folder]) }
        }
        else {
            refuse('No cohort: give --input COHORT (BraTSReg folders, or a samplesheet CSV), or -profile test or -profile demo for the embedded one', values.outdir)
        }
        forgetFailures(values.outdir)
        STUDY(source, values, schema)
        channel.topic('versions').unique().toList().subscribe { versions -> writeRecords(values, versions, wf) }
        workflow.onComplete = { wf.success ? sayDone(wf, values.outdir) : sayFailed(wf, values.outdir) }
    }
}
